"""The table of routes as a whole."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from pydantic import BaseModel, TypeAdapter

from hypersdk.contract.base import Asked
from hypersdk.contract.routes import BY_NAME, ROUTES
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"}


def test_names_and_places_are_given_once() -> None:
    assert len(BY_NAME) == len(ROUTES)
    places = Counter((route.method, re.sub(r"{.*?}", "{}", route.path)) for route in ROUTES)
    assert [place for place, number in places.items() if number > 1] == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_says_all_that_is_needed(route: Route) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", route.name)
    assert route.method in _METHODS
    assert route.path.startswith("/")
    assert route.summary
    assert not route.summary.endswith(".")
    assert route.scope
    if route.path.startswith("/v1/"):
        assert route.versioned
    if route.method == "GET":
        assert route.body is None
        assert not route.action, "looking is no change"
    if route.method in ("PUT", "PATCH", "DELETE"):
        assert route.action, "a change is audited"
    if route.answer is None and not route.media and route.method != "WEBSOCKET":
        assert route.status == 204


@pytest.mark.parametrize(
    "route", [each for each in ROUTES if each.role is None], ids=lambda route: route.name
)
def test_what_is_for_everybody_changes_nothing(route: Route) -> None:
    """But for logging in, which is how one becomes somebody."""
    assert route.method == "GET" or route.name.endswith(("login", "log_in"))


@pytest.mark.parametrize(
    "route",
    [each for each in ROUTES if each.path.startswith("/v1/") and each.body is not None],
    ids=lambda route: route.name,
)
def test_bodies_refuse_what_they_do_not_know(route: Route) -> None:
    schema = TypeAdapter(route.body).json_schema()
    found = [schema, *schema.get("$defs", {}).values()]
    objects = [each for each in found if each.get("type") == "object" and "properties" in each]
    assert objects
    assert all(each.get("additionalProperties") is False for each in objects)
    assert not isinstance(route.body, type) or issubclass(route.body, Asked | BaseModel)


def test_administrators_alone_change_the_estate() -> None:
    for route in ROUTES:
        if route.path.startswith(("/v1/hypervisors", "/v1/repositories", "/v1/webhooks")) and (
            route.method in ("PUT", "DELETE") and route.path.count("{") == 1
        ):
            assert route.role is Role.ADMIN, route.name
