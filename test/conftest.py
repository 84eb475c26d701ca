import os

import pytest

import lab as lab_module


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: also run against the build with sanitizers")
    config.addinivalue_line("markers", "long: only with FACTEUR_LONG=1")


def pytest_collection_modifyitems(items):
    if not os.environ.get("FACTEUR_LONG"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="long: ./check --long"))


@pytest.fixture(scope="module")
def lab():
    made = lab_module.Lab()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def ici(lab):
    """A server for ici.test with the accounts anne, bob and carol (password "secret")."""
    return lab.facteur("ici.test", accounts=("anne", "bob", "carol"))


@pytest.fixture(scope="module")
def labas(lab):
    return lab.facteur("labas.test", accounts=("zoe", "yves"))
