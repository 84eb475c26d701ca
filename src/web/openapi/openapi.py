#!/usr/bin/env python3
"""Joins the areas' descriptions into one OpenAPI document, adds what all routes have in common, and writes it as a C array.
openapi.py OUT.c BASE.json AREA.json..."""
import json
import sys

METHODS = ("get", "post", "put", "patch", "delete")
REFUSALS = {"none": ("400",), "user": ("400", "401"), "owner": ("400", "401", "403"), "operator": ("400", "401", "403")}


def complete(path, method, route):
    right = route["x-right"]
    for status in REFUSALS[right]:
        route["responses"].setdefault(status, {"$ref": "#/components/responses/Refused"})
    if "requestBody" in route:
        route["responses"].setdefault("413", {"$ref": "#/components/responses/TooLarge"})
    route["responses"].setdefault("default", {"$ref": "#/components/responses/Refused"})
    if right == "none":
        route["security"] = []
    named = {p["name"] for p in route.get("parameters", []) if p.get("in") == "path"}
    for part in path.split("/"):
        if part.startswith("{") and part[1:-1] not in named:
            route.setdefault("parameters", []).append(
                {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}})
    route.setdefault("operationId", method + "".join(w.strip("{}").title() for w in path.replace("-", "/").replace(".", "/").split("/")))


def join(base, areas):
    with open(base) as f:
        document = json.load(f)
    for name in areas:
        with open(name) as f:
            area = json.load(f)
        for path, routes in area.get("paths", {}).items():
            for method, route in routes.items():
                if method not in METHODS:
                    sys.exit("%s: %s: %s is no method" % (name, path, method))
                if method in document["paths"].setdefault(path, {}):
                    sys.exit("%s: %s %s is there twice" % (name, method, path))
                complete(path, method, route)
                document["paths"][path][method] = route
        for kind, things in area.get("components", {}).items():
            there = document["components"].setdefault(kind, {})
            for key, thing in things.items():
                if key in there:
                    sys.exit("%s: the %s %s is there twice" % (name, kind, key))
                there[key] = thing
    return document


def main(out, base, *areas):
    data = json.dumps(join(base, areas), indent=1, ensure_ascii=True).encode()
    with open(out, "w") as f:
        f.write('#include "web/api_impl.h"\n\nconst unsigned char api_openapi[] = {\n')
        for i in range(0, len(data), 32):
            f.write(",".join(str(b) for b in data[i:i + 32]) + ",\n")
        f.write("};\nconst size_t api_openapi_n = sizeof api_openapi;\n")


main(*sys.argv[1:])
