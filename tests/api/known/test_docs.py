"""docs/known-api.md says all routes that there are without a version, no other; all are tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hypersdk.api.known.prices import VERSION
from hypersdk.contract.routing import Route
from tests.api.known.daemons import KNOWN

HERE = Path(__file__).parent
TEXT = (HERE.parents[2] / "docs" / "known-api.md").read_text()
#: Of a table: `METHOD /path` and what it does.
ROW = re.compile(r"^\| `([A-Z]+) (/\S*)` \| (.+) \|$", re.MULTILINE)
TESTS = "\n".join(path.read_text() for path in HERE.glob("test_*.py") if path != Path(__file__))


def _shown(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_the_tables_say_the_routes_in_their_order() -> None:
    said = [f"{method} {path}" for method, path, _ in ROW.findall(TEXT)]
    assert said == [_shown(route) for route in KNOWN]


def test_none_has_a_version() -> None:
    assert not [_shown(route) for route in KNOWN if route.versioned]
    assert not [_shown(route) for route in KNOWN if route.path.startswith("/v1")]


@pytest.mark.parametrize("route", KNOWN, ids=_shown)
def test_every_route_is_tried(route: Route) -> None:
    # Tests write parameters as {…} of f-strings, or as what they are; groups of one shape are
    # gone through with the last part of the path as a parameter.
    literal = re.escape(route.path)
    pattern = re.sub(r"\\\{[^}]*\\\}", r'[^"/ ]+', literal)
    *above, last = route.path.rpartition("/")
    looped = re.escape("".join(above)) + r'\{[^"/]+\}'
    whole = re.search(rf'"{pattern}[?"]', TESTS)
    part = re.search(rf'"{looped}[?"]', TESTS) and re.search(rf'"{re.escape(last)}[?"]', TESTS)
    assert whole or part, f"no test asks {_shown(route)}"


def test_the_month_of_the_prices_is_said() -> None:
    assert f"list prices of {VERSION}" in TEXT
