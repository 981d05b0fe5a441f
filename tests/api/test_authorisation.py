"""Every route for every kind of caller: who is let in, and what the audit log gets.

The table of routes says what must come out, so a route that is added is tested by itself. Behind
the guard stand probes that only say who came through; what handlers do is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.routing import APIRoute
from starlette.responses import Response

from hypersdk.accounts.access import EVERY_TOKEN, Access
from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.api import problems
from hypersdk.api.building import describing
from hypersdk.contract.routes import ROUTES
from hypersdk.contract.routing import Route
from hypersdk.database.engine import Database
from hypersdk.model.accounts import Principal, Role
from tests.api.tiny import Caller

#: What only a probe answers.
PASSED = 299
#: Of no part of the API.
OTHER_SCOPE = "another-part"


@dataclass(frozen=True, slots=True)
class Kind:
    """Callers of one kind, and what the table says of them."""

    name: str
    #: None: not let in anywhere but where everybody is.
    role: Role | None
    tenant: str = ""
    scopes: tuple[str, ...] = ()

    def expects(self, route: Route) -> int:
        if route.role is None:
            return PASSED
        if self.role is None:
            return 401
        if not self.role.covers(route.role):
            return 403
        if self.scopes and route.scope not in {*self.scopes, *EVERY_TOKEN}:
            return 403
        return PASSED


KINDS = (
    Kind("nobody", None),
    Kind("expired", None),
    Kind("revoked", None),
    Kind("disabled", None),
    Kind("viewer", Role.VIEWER),
    Kind("operator", Role.OPERATOR),
    Kind("admin", Role.ADMIN),
    Kind("a-operator", Role.OPERATOR, "tenant-a"),
    Kind("b-operator", Role.OPERATOR, "tenant-b"),
    Kind("a-admin", Role.ADMIN, "tenant-a"),
    Kind("scoped", Role.ADMIN, scopes=(OTHER_SCOPE,)),
    Kind("jobs-only", Role.ADMIN, scopes=("jobs",)),
)


@dataclass
class Noted:
    """Stands for the audit log."""

    entries: list[tuple[str, str, str]] = field(default_factory=list)

    def record(
        self, who: Principal | None, origin: str, action: str, subject: str, **more: Any
    ) -> None:
        self.entries.append((who.user if who else "", action, more["outcome"]))


@dataclass
class World:
    """The application with probes, and a token for each kind of caller."""

    app: FastAPI
    audit: Noted
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("authorisation")
    database = Database.open(f"sqlite:///{folder}/hypervisord.db")
    users, tokens = UserStore(database), TokenStore(database)
    noted = Noted()
    app = describing(ROUTES, {route.name: _probe(route) for route in ROUTES})
    problems.install(app)
    app.state.services = SimpleNamespace(
        access=Access(users, tokens, open_loopback=True), audit=noted, database=database
    )
    yield World(app, noted, _secrets(users, tokens, TenantStore(database)))
    database.close()


def _probe(route: Route) -> Callable[..., Any]:
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json(_seen(route, socket.state.principal))
        await socket.close()

    async def request(request: Request) -> Response:
        return Response(status_code=PASSED, headers=_seen(route, request.state.principal))

    return socket if route.method == "WEBSOCKET" else request


def _seen(route: Route, principal: Principal | None) -> dict[str, str]:
    return {
        "x-route": route.name,
        "x-user": principal.user if principal else "",
        "x-tenant": principal.tenant if principal else "",
    }


def _secrets(users: UserStore, tokens: TokenStore, tenants: TenantStore) -> dict[str, str]:
    users.create("root", None, Role.ADMIN)
    for tenant in ("tenant-a", "tenant-b"):
        tenants.create(tenant)
    found = {"nobody": ""}
    for kind in KINDS[1:]:
        user = users.create(kind.name, None, kind.role or Role.ADMIN, kind.tenant)
        soon = datetime.now(UTC) + timedelta(milliseconds=20)
        token, found[kind.name] = tokens.create(
            user, name="test", scopes=kind.scopes, expires=soon if kind.name == "expired" else None
        )
        if kind.name == "revoked":
            tokens.revoke(token.id)
        if kind.name == "disabled":
            users.change(user.name, enabled=False)
        while kind.name == "expired" and datetime.now(UTC) <= soon:
            pass
    return found


def path_of(route: Route) -> str:
    return re.sub(r"\{\w+:path\}", "a/b", re.sub(r"\{\w+\}", "x1", route.path))


async def asked(caller: Caller, route: Route) -> tuple[int, Any]:
    """The status, and what the probe saw."""
    if route.method == "WEBSOCKET":
        opened = await caller.opened(path_of(route))
        return (PASSED, opened.said[0]) if opened.status == 101 else (opened.status, {})
    answer = await caller.send(route.method, path_of(route))
    return answer.status_code, answer.headers


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_who_is_let_in(world: World, kind: Kind) -> None:
    wrong: list[str] = []

    async def all_routes() -> None:
        headers = {"Host": "vm.example"}
        if token := world.tokens[kind.name]:
            headers["Authorization"] = f"Bearer {token}"
        for at, route in enumerate(ROUTES):
            world.audit.entries.clear()
            # Each from another address: many wrong tokens from one are refused otherwise.
            caller = Caller(world.app, f"10.0.{at // 250}.{at % 250}", headers)
            status, seen = await asked(caller, route)
            wrong.extend(
                f"{route.method} {route.path}: {problem}"
                for problem in _problems(world, kind, route, status, seen)
            )

    asyncio.run(all_routes())
    assert wrong == []


def _problems(world: World, kind: Kind, route: Route, status: int, seen: Any) -> Iterator[str]:
    expected = kind.expects(route)
    if status != expected:
        yield f"answers {status}, the table says {expected}"
        return
    known = kind.name if route.role is not None else ""
    if status == PASSED:
        if seen["x-route"] != route.name:
            yield f"is answered by {seen['x-route']}"
        if (seen["x-user"], seen["x-tenant"]) != (known, kind.tenant if known else ""):
            yield f"took the caller for {seen['x-user']} of {seen['x-tenant']!r}"
    outcome = {PASSED: "done", 403: "refused"}.get(status)
    wanted = [(known, route.action, outcome)] if route.action and outcome else []
    if world.audit.entries != wanted:
        yield f"wrote {world.audit.entries} into the audit log, not {wanted}"


def test_each_route_says_who_may_and_whether_it_is_noted() -> None:
    for route in ROUTES:
        assert route.scope, route
        assert re.fullmatch(r"[a-z][a-z-]*", route.scope), route
        if route.method in ("PUT", "PATCH", "DELETE"):
            assert route.action, f"{route.name} changes something"
        if route.action:
            assert re.fullmatch(r"[a-z]+([._-][a-z]+)+", route.action), route


#: For everybody: nothing of what the daemon knows is in their answers.
PUBLIC = frozenset(
    {"login", "get_version", "get_openapi", "get_docs", "get_health", "known_health", "health"}
)


def test_little_is_for_everybody() -> None:
    public = {route.name for route in ROUTES if route.role is None}
    assert public <= PUBLIC


def test_nothing_but_the_table_is_served(world: World) -> None:
    served = [each for each in world.app.routes if not isinstance(each, APIRoute)]
    sockets = {route.path for route in ROUTES if route.method == "WEBSOCKET"}
    assert {getattr(each, "path", "") for each in served} <= sockets
    guarded = [each for each in world.app.routes if isinstance(each, APIRoute)]
    assert {type(each).__qualname__ for each in guarded} == {"guarded.<locals>.Guarded"}
    assert len(guarded) + len(sockets) == len(ROUTES)
