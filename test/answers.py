"""Answers of the API against its own description: each status is told of, and each JSON answer fits its schema and has nothing beside it.
Debian's python3-jsonschema; without it nothing is looked at."""
import copy

try:
    import jsonschema
except ImportError:
    jsonschema = None


BARE = (405, 413)  # of HTTP itself, for what cannot be a path or body of the API's


def closed(schema):
    """The same, with every object that names its members taking no others: what is answered shall be described."""
    if isinstance(schema, list):
        return [closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: closed(v) if k not in ("enum", "const", "example", "examples", "default") else v for k, v in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        out["additionalProperties"] = False
    return out


class Answers:
    def __init__(self, description):
        self.paths = description["paths"]
        self.document = copy.deepcopy(description)
        self.document["components"] = closed(description["components"])
        self.patterns = sorted(((p.split("/")[1:], p) for p in self.paths), key=lambda x: sum(part.startswith("{") for part in x[0]))

    def path_of(self, asked):
        """The description's path; a last {name} takes the rest, as the server has it."""
        parts = asked.split("?")[0].split("/")[1:]
        for pattern, path in self.patterns:
            rest = pattern[-1].startswith("{") and len(parts) > len(pattern)
            if (len(parts) == len(pattern) or rest) and all(a == b or (a.startswith("{") and b) for a, b in zip(pattern, parts)):
                return path
        return None

    def look_up(self, thing):
        while "$ref" in thing:
            node = self.document
            for part in thing["$ref"].split("/")[1:]:
                node = node[part]
            thing = node
        return thing

    def faults(self, method, asked, status, body, is_json):
        """What is wrong with an answer, in words; none: []."""
        path = self.path_of(asked)
        route = path and self.paths[path].get(method.lower())
        if not route or jsonschema is None:
            return []
        told = route["responses"].get(str(status)) or route["responses"].get("default")
        if status < 400 and str(status) not in route["responses"]:
            return ["%s %s answers %d, which is not described" % (method, path, status)]
        content = self.look_up(told).get("content", {})
        if not is_json and status in BARE:
            return []
        if not is_json:
            return ["%s %s answers %d without the JSON that is described" % (method, path, status)] if "application/json" in content and len(content) == 1 else []
        if "application/json" not in content:
            return ["%s %s answers %d with JSON that is not described" % (method, path, status)]
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": self.document["components"],
                  **closed(content["application/json"].get("schema", {}))}
        found = jsonschema.Draft202012Validator(schema).iter_errors(body)
        return ["%s %s answers %d: at %s: %s" % (method, path, status, "/".join(str(p) for p in e.absolute_path), e.message[:300]) for e in list(found)[:5]]


def wrong_schemas(description):
    """Those of components and answers that are no JSON Schema; in words."""
    found = []

    def walk(thing, where):
        if isinstance(thing, dict):
            for key, inner in thing.items():
                if key == "schema" or where.endswith("/components/schemas"):
                    try:
                        jsonschema.Draft202012Validator.check_schema(inner)
                    except jsonschema.SchemaError as e:
                        found.append("%s/%s: %s" % (where, key, e.message))
                walk(inner, where + "/" + key)
        elif isinstance(thing, list):
            for i, inner in enumerate(thing):
                walk(inner, "%s/%d" % (where, i))
    if jsonschema:
        walk(description, "")
    return found
