"""The application: every route of the table with what answers it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from hypersdk.api import openapi, problems
from hypersdk.api.etags import Answered, same
from hypersdk.api.inventory import Inventory
from hypersdk.api.metrics import Metrics
from hypersdk.api.names import nearest
from hypersdk.api.pools import Pools
from hypersdk.api.requests import Requests
from hypersdk.api.routes import HANDLERS
from hypersdk.api.scraping import Scraping
from hypersdk.api.security import guard, guarded
from hypersdk.api.services import Services
from hypersdk.contract.base import FieldProblem
from hypersdk.contract.routes import ROUTES
from hypersdk.contract.routing import Route

Handler = Callable[..., Any]


def build(
    services: Services,
    *,
    routes: tuple[Route, ...] = ROUTES,
    handlers: Mapping[str, Handler] = HANDLERS,
) -> FastAPI:
    """Raises ValueError when a route has no handler, or a handler no route."""
    pools = Pools(instant=services.database.sqlite)
    inventory = Inventory(services.connections)
    metrics = Metrics(openapi.version(), Scraping(services))
    services.feed.watch(metrics.changed)
    services.feed.watch(inventory.changed)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        services.feed.start(asyncio.get_running_loop())
        try:
            yield
        finally:
            services.feed.stop()
            pools.close()

    app = _described(life, routes, handlers, pools)
    app.state.services = services
    app.state.pools = pools
    app.state.inventory = inventory
    app.state.metrics = metrics
    problems.install(app)
    app.add_middleware(Requests, metrics=metrics)
    return app


def describing(
    routes: tuple[Route, ...] = ROUTES, handlers: Mapping[str, Handler] = HANDLERS
) -> FastAPI:
    """An application that can say what it is, and answers nothing."""
    return _described(None, routes, handlers, Pools())


def _described(
    life: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]] | None,
    routes: tuple[Route, ...],
    handlers: Mapping[str, Handler],
    pools: Pools,
) -> FastAPI:
    check(routes, handlers)
    app = FastAPI(
        title="HyperSDK",
        version=openapi.version(),
        docs_url=None,  # FastAPI's page loads scripts from a foreign host
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=life,
        # Its spans hold messages of errors as they are; ours are in `requests`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for route in routes:
        _add(app, route, handlers[route.name], pools)
    openapi.install(app, routes)
    return app


def check(routes: tuple[Route, ...], handlers: Mapping[str, Handler]) -> None:
    """Raises ValueError unless each route has its handler and the other way round."""
    names = {route.name for route in routes}
    if lost := names ^ set(handlers):
        raise ValueError(f"routes without handlers, or handlers without routes: {sorted(lost)}")


def _add(app: FastAPI, route: Route, handler: Handler, pools: Pools) -> None:
    if route.method == "WEBSOCKET":
        guarding = [Depends(guard(route))]
        app.add_api_websocket_route(route.path, handler, route.name, dependencies=guarding)
        app.router.routes[-1].ours = route  # type: ignore[attr-defined]  # for `problems`
        return
    endpoint = _Endpoint(route, handler, pools)
    app.router.add_api_route(
        route.path,
        endpoint.function,
        methods=[route.method],
        name=route.name,
        operation_id=route.name,
        summary=route.summary,
        description=inspect.getdoc(handler) or route.summary,
        tags=[route.scope],
        status_code=route.status,
        response_model=route.answer,
        response_class=openapi.response_class(route),
        responses=openapi.responses(route),
        route_class_override=guarded(route),
    )
    added = app.router.routes[-1]
    assert isinstance(added, APIRoute)
    endpoint.known = frozenset(_query_of(added.dependant))


def _query_of(dependant: Dependant) -> Iterator[str]:
    """Names of query parameters that a function takes, itself or through what it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _query_of(each)


class _Endpoint:
    """Between FastAPI and a handler: threads, bytes of the answer, ETags, unknown parameters.

    Records are ours and valid already, so their JSON is made directly; FastAPI would check every
    one again.
    """

    def __init__(self, route: Route, handler: Handler, pools: Pools) -> None:
        self._route = route
        self._handler = handler
        self._pools = pools
        self._waits = inspect.iscoroutinefunction(handler)
        #: Names of the query parameters, known once FastAPI has looked at the function.
        self.known: frozenset[str] = frozenset()
        self.function = self._function()

    def _function(self) -> Handler:
        signature = inspect.signature(self._handler)
        given = [name for name, each in signature.parameters.items() if each.annotation in _REQUEST]
        name = given[0] if given else "request_of_route"

        @functools.wraps(self._handler)
        async def endpoint(**values: Any) -> Response:
            request = values[name] if given else values.pop(name)
            if (refused := self._refused(request)) is not None:
                return refused
            return self._answer(request, await self._call(values))

        if not given:
            parameters = [
                *signature.parameters.values(),
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Request),
            ]
            signature = signature.replace(parameters=parameters)
        endpoint.__signature__ = signature.replace(  # type: ignore[attr-defined]
            return_annotation=inspect.Signature.empty
        )
        return endpoint

    async def _call(self, values: dict[str, Any]) -> Any:
        if self._waits:
            return await self._handler(**values)
        return await self._pools.run(self._route, self._handler, **values)

    def _refused(self, request: Request) -> Response | None:
        """What FastAPI lets pass in a query: names of no parameter, and zeros in texts."""
        if not request.scope["query_string"] or not self._route.versioned:
            return None
        fields = []
        for name, value in request.query_params.multi_items():
            if name not in self.known:
                meant = nearest(name, sorted(self.known))
                words = "there is no such parameter" + (f"; did you mean {meant}?" if meant else "")
                fields.append(FieldProblem(field=f"query.{name}", message=words))
            elif "\0" in value:
                fields.append(FieldProblem(field=f"query.{name}", message="has a zero in it"))
        return problems.invalid(request, fields) if fields else None

    def _answer(self, request: Request, given: Any) -> Response:
        if isinstance(given, Response):
            return given
        answered = given if isinstance(given, Answered) else Answered(given)
        headers = dict(answered.headers)
        asked = request.headers.get("if-none-match", "")
        tag = headers.get("ETag", "")
        if asked and tag and request.method == "GET" and same(asked, tag):
            return Response(status_code=304, headers=headers)
        status = answered.status or self._route.status
        if answered.record is None:
            return Response(status_code=status, headers=headers)
        return Response(
            to_json(answered.record),
            status_code=status,
            headers=headers,
            media_type="application/json",
        )


#: How a handler may write the type of its request.
_REQUEST = (Request, "Request")


def to_json(record: BaseModel) -> bytes:
    """As it goes over the wire."""
    return record.__pydantic_serializer__.to_json(record)
