"""A small application whose routes do nothing, guarded as all are, with real accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import Depends, FastAPI, Request, WebSocket
from starlette.responses import JSONResponse, Response

from hypersdk.accounts.access import Access
from hypersdk.accounts.audit import AuditLog
from hypersdk.accounts.passwords import Passwords
from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.api import problems
from hypersdk.api.security import guard, guarded, protocol_of
from hypersdk.contract.routing import Route
from hypersdk.database.engine import Database
from hypersdk.model.accounts import Role

#: What a route answers that let somebody pass; nothing else does.
PASSED = 299
LOOK = Route(
    name="look", method="GET", path="/v1/things", role=Role.VIEWER, scope="things", summary=""
)
CHANGE = Route(
    name="change",
    method="POST",
    path="/v1/things/{id}",
    role=Role.OPERATOR,
    scope="things",
    summary="",
    body=dict[str, Any],
    action="thing.change",
    body_most=1000,
)
EVERYBODY = Route(
    name="everybody", method="GET", path="/health", role=None, scope="system", summary=""
)
STREAM = Route(
    name="stream",
    method="GET",
    path="/v1/stream",
    role=Role.VIEWER,
    scope="things",
    summary="",
    media="text/event-stream",
)
SOCKET = Route(
    name="socket",
    method="WEBSOCKET",
    path="/v1/socket",
    role=Role.VIEWER,
    scope="things",
    summary="",
)
ROUTES = (LOOK, CHANGE, EVERYBODY, STREAM, SOCKET)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls an application that runs in this process."""

    app: FastAPI
    address: str
    headers: dict[str, str]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.send(method, path, **options))

    async def send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        transport = httpx.ASGITransport(
            self.app, raise_app_exceptions=False, client=(self.address, 50000)
        )
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8080", headers=self.headers
        ) as client:
            return await client.request(method, path, headers=headers, **options)

    def socket(self, path: str, *protocols: str) -> Socket:
        """Open a WebSocket, and read until it ends."""
        return asyncio.run(self.opened(path, *protocols))

    async def opened(self, path: str, *protocols: str) -> Socket:
        """See `socket`."""
        headers = dict(self.headers)
        if protocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "client": (self.address, 50000),
            "server": ("127.0.0.1", 8080),
            "subprotocols": list(protocols),
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        return await _socket(self.app, scope)


@dataclass(slots=True)
class Socket:
    """What came of opening a WebSocket."""

    #: Of HTTP; 101 when it was opened.
    status: int = 0
    protocol: str | None = None
    said: list[Any] = field(default_factory=list)
    #: Of a refusal.
    body: bytes = b""


async def _socket(app: FastAPI, scope: dict[str, Any]) -> Socket:
    found = Socket()

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        match message["type"]:
            case "websocket.accept":
                found.status, found.protocol = 101, message.get("subprotocol")
            case "websocket.send":
                found.said.append(json.loads(message["text"]))
            case "websocket.http.response.start":
                found.status = message["status"]
            case "websocket.http.response.body":
                found.body += message["body"]

    await app(scope, receive, send)
    return found


class Tiny:
    """The application, and what is behind it."""

    def __init__(self, database: Database, **access: Any) -> None:
        self.database = database
        quick = Passwords(passes=1, memory_kib=64, lanes=1)
        self.users = UserStore(database, quick)
        self.tokens = TokenStore(database)
        self.tenants = TenantStore(database)
        self.audit = AuditLog(database)
        self.access = Access(self.users, self.tokens, **{"open_loopback": True, **access})
        #: Called by POSTs, with their bodies.
        self.work: Callable[[Request, Any], Any] = lambda request, body: body
        self.bodies: list[Any] = []
        #: Waited for by POSTs.
        self.before: Callable[[], Awaitable[None]] = _nothing
        self.app = self._app()

    def client(self, token: str = "", *, client: str = "127.0.0.1", **headers: str) -> Caller:
        """``headers`` with underscores for dashes."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Caller(self.app, client, {"Host": "localhost:8080", **named})

    def account(self, name: str, is_a: Role, tenant: str = "", **token: Any) -> str:
        """An account, and the secret of a token of it."""
        user = self.users.create(name, None, is_a, tenant)
        return self.tokens.create(user, name="test", **token)[1]

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.state.services = SimpleNamespace(
            access=self.access, audit=self.audit, database=self.database
        )

        async def look(request: Request) -> Response:
            who = request.state.principal
            return JSONResponse({"user": who.user if who else None}, PASSED)

        async def change(request: Request, id: str, body: dict[str, Any]) -> Response:
            self.bodies.append(body)
            await self.before()
            return JSONResponse(self.work(request, body), PASSED)

        async def socket(socket: WebSocket) -> None:
            await socket.accept(protocol_of(socket))
            await socket.send_json({"user": socket.state.principal.user})
            await socket.close()

        for route in (LOOK, EVERYBODY, STREAM, CHANGE):
            app.router.add_api_route(
                route.path,
                change if route is CHANGE else look,
                methods=[route.method],
                route_class_override=guarded(route),
            )
        app.add_api_websocket_route(SOCKET.path, socket, dependencies=[Depends(guard(SOCKET))])
        problems.install(app)
        return app


async def _nothing() -> None:
    pass


@contextmanager
def tiny(folder: Path, **access: Any) -> Iterator[Tiny]:
    database = Database.open(f"sqlite:///{folder}/tiny.db")
    try:
        yield Tiny(database, **access)
    finally:
        database.close()
