"""What the interface says of itself, here, in the docs, and to clients."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hypersdk.api.building import describing
from hypersdk.api.openapi import rendered, version, with_table
from hypersdk.contract.routes import BY_NAME, ROUTES
from tests.api.serving import Daemon

DOCS = Path(__file__).parents[2] / "docs"
_HTTP = {route.name: route for route in ROUTES if route.method != "WEBSOCKET"}
_AGAIN = "write it again: python -m hypersdk.api.openapi"


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    paths = describing().openapi()["paths"]
    return {
        operation["operationId"]: {**operation, "path": path, "method": method.upper()}
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_it_has_every_route_as_the_table_says(operations: dict[str, dict[str, Any]]) -> None:
    assert operations.keys() == _HTTP.keys()
    for name, operation in operations.items():
        route = BY_NAME[name]
        plain = re.sub(r":\w+}", "}", route.path)
        assert (operation["method"], operation["path"]) == (route.method, plain)
        assert operation["summary"] == route.summary
        assert operation.get("x-role") == (route.role.value if route.role else None)
        assert ("security" in operation) == (route.role is not None)
        assert str(route.status) in operation["responses"]
        assert ("requestBody" in operation) >= (route.body is not None)


def test_errors_have_the_form_of_their_routes(operations: dict[str, dict[str, Any]]) -> None:
    shared = describing().openapi()["components"]["responses"]
    for name, operation in operations.items():
        media = "application/problem+json" if BY_NAME[name].versioned else "application/json"
        for status, reference in operation["responses"].items():
            if int(status) >= 400:
                response = shared[reference["$ref"].rpartition("/")[2]]
                assert list(response["content"]) == [media], (name, status)


def test_the_document_in_the_docs_is_this_one() -> None:
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == rendered(), _AGAIN


def test_the_table_in_the_docs_is_this_one() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert with_table(page, ROUTES) == page, _AGAIN
    with pytest.raises(ValueError, match="routes: begin"):
        with_table("no table", ROUTES)


def test_a_daemon_serves_it(daemon: Daemon) -> None:
    with daemon.client() as client:
        served = client.get("/v1/openapi.json").json()
    assert served["info"]["version"] == version()
    assert served["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert json.dumps(served).count("HTTPValidationError") == 0


def test_the_docs_have_every_figure(daemon: Daemon) -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(hypersdk_\w+)` \|", page, re.MULTILINE))
    with daemon.client() as client:
        text = client.get("/metrics").text
    found = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(text)
        if family.name.startswith("hypersdk_") and not family.name.endswith("_created")
    }
    assert found == documented
