"""The OpenAPI document of the table of routes, and a page for people made of it.

``python -m hypersdk.api.openapi`` writes ``docs/openapi.json`` and the table in ``docs/api.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import cache
from html import escape
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.responses import JSONResponse, Response

from hypersdk.contract.base import OldError, Problem
from hypersdk.contract.routing import Route

#: What any route may answer; 408 and 413 are of bodies.
_ALWAYS = (400, 401, 403, 404, 405, 408, 413, 422, 429, 500, 503)
#: What those without a version may answer besides: there is hardly one that asks no hypervisor,
#: or has no field that is known from before and not supported.
_KNOWN = (409, 501, 502, 504, 507)
#: Around the table of routes in its page.
BEGIN, END = "<!-- routes: begin -->\n", "<!-- routes: end -->"
_SCHEMA = "#/components/schemas/"


@cache
def version() -> str:
    """Of this program."""
    return metadata.version("hypersdk")


def response_class(route: Route) -> type[Response]:
    """Says FastAPI what media type the answer has."""
    if route.answer is not None:
        return JSONResponse
    return type("Plain", (Response,), {"media_type": route.media or None})


def responses(route: Route) -> dict[int | str, dict[str, Any]]:
    """Everything that a route may answer besides its success."""
    found: dict[int | str, dict[str, Any]] = {}
    conflict = (409,) if route.changes else ()  # of idempotency keys
    known = () if route.versioned else _KNOWN
    for status in sorted({*_ALWAYS, *conflict, *known, *route.also}):
        if status == 304:
            found[status] = {"description": "As you know it"}
        elif status < 300:
            found[status] = {"description": _words(status), "model": route.answer}
        else:
            found[status] = _error(status, versioned=route.versioned)
    return found


def install(app: FastAPI, routes: Sequence[Route]) -> None:
    """Have the application describe itself, and the errors and rights that FastAPI cannot see."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(FastAPI.openapi(app), routes)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def as_json(app: FastAPI) -> bytes:
    """The document, encoded once."""
    if not hasattr(app.state, "openapi"):
        app.state.openapi = json.dumps(app.openapi(), ensure_ascii=False).encode()
    found: bytes = app.state.openapi
    return found


def page(document: dict[str, Any]) -> str:
    """A page without scripts and without anything of other hosts."""
    rows = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            rows.append(
                f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
                f"<td>{escape(operation['summary'])}</td>"
                f"<td>{escape(operation.get('x-role', 'anybody'))}</td></tr>"
            )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>HyperSDK API</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;"
        "padding:0 1rem}td,th{padding:.2rem .6rem;text-align:left;vertical-align:top}"
        "tr:nth-child(even){background:#8881}</style>"
        f"<h1>HyperSDK {escape(document['info']['version'])}</h1>"
        "<p>The whole description, for tools: <a href=openapi.json>openapi.json</a>.</p>"
        "<table><tr><th><th>Path<th>What it does<th>Who may</tr>"
        + "".join(rows)
        + "</table></html>"
    )


def _completed(document: dict[str, Any], routes: Sequence[Route]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, OldError):
        schema = model.model_json_schema(ref_template=f"{_SCHEMA}{{model}}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `POST /v1/tokens`, or of a log-in.",
        }
    }
    by_name = {route.name: route for route in routes}
    errors = components.setdefault("responses", {})
    for operations in document["paths"].values():
        for operation in operations.values():
            route = by_name[operation["operationId"]]
            if route.role is not None:
                operation["security"] = [{"token": []}]
                operation["x-role"] = route.role.value
            if route.action:
                operation["x-audit-action"] = route.action
            if route.body is not None and "requestBody" not in operation:
                operation["requestBody"] = _body(route, schemas)
            answers = operation["responses"]
            for status in [each for each in answers if int(each) >= 400]:
                name = f"{'Problem' if route.versioned else 'OldError'}{status}"
                errors[name] = answers[status]
                answers[status] = {"$ref": f"#/components/responses/{name}"}
    return document


def _body(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    """Of a handler that reads its body by itself, since it takes YAML as well."""
    schema = TypeAdapter(route.body).json_schema(ref_template=f"{_SCHEMA}{{model}}")
    schemas.update(schema.pop("$defs", {}))
    media = ("application/json", "application/yaml")
    return {"required": True, "content": {each: {"schema": schema} for each in media}}


def _error(status: int, *, versioned: bool) -> dict[str, Any]:
    media, model = (
        ("application/problem+json", Problem) if versioned else ("application/json", OldError)
    )
    content = {media: {"schema": {"$ref": _SCHEMA + model.__name__}}}
    return {"description": _words(status), "content": content}


def _words(status: int) -> str:
    return HTTPStatus(status).phrase


def table(routes: Sequence[Route]) -> str:
    """All routes, for a page in Markdown."""
    lines = ["| method | path | what it does | who may |", "|---|---|---|---|"]
    for route in routes:
        who = route.role.value if route.role is not None else "anybody"
        method = "WS" if route.method == "WEBSOCKET" else route.method
        lines.append(f"| {method} | `{route.path}` | {route.summary} | {who} |")
    return "\n".join(lines) + "\n"


def rendered() -> str:
    """``docs/openapi.json``."""
    from hypersdk.api.building import describing  # noqa: PLC0415 - it imports this module

    return json.dumps(describing().openapi(), indent=1, ensure_ascii=False) + "\n"


def with_table(page: str, routes: Sequence[Route]) -> str:
    """``docs/api.md`` with the table of these routes. Raises ValueError without its marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page has no {BEGIN.strip()} … {END.strip()}")
    return f"{before}{BEGIN}{table(routes)}{END}{after}"


def _write(folder: Path) -> None:
    from hypersdk.contract.routes import ROUTES  # noqa: PLC0415 - only here

    (folder / "openapi.json").write_text(rendered(), encoding="utf-8")
    page = folder / "api.md"
    page.write_text(with_table(page.read_text(encoding="utf-8"), ROUTES), encoding="utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
