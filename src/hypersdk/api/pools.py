"""Threads for what blocks, so that one kind of waiting does not keep the others waiting."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from starlette.requests import HTTPConnection

from hypersdk.contract.routing import Route

T = TypeVar("T")

#: Scopes whose answers come from our own database, in milliseconds. What asks hypervisors and
#: repositories may wait for them.
_QUICK_SCOPES = frozenset({"jobs", "schedules", "events", "webhooks", "system", "tokens", "audit"})
_QUICK = 4
#: Reads of one row by its key. From a file on this machine they take a third of what it costs to
#: have another thread do them, and with WAL they wait for no writer: measured, a half more of them
#: per second.
_INSTANT = frozenset(
    {
        "get_job",
        "get_schedule",
        "get_hypervisor",
        "get_repository",
        "get_webhook",
        "known_get_job",
        "known_job_progress",
    }
)
_SLOW = 64
#: Each open console needs one all the time.
_CONSOLES = 128


class Pools:
    """The threads of one application. ``instant``: the database is a file on this machine."""

    def __init__(self, *, instant: bool = False) -> None:
        self._instant = _INSTANT if instant else frozenset()
        self._quick = ThreadPoolExecutor(_QUICK, "api")
        self._slow = ThreadPoolExecutor(_SLOW, "api-slow")
        self._consoles = ThreadPoolExecutor(_CONSOLES, "api-console")

    async def run(self, route: Route, work: Callable[..., T], **values: Any) -> T:
        """Do the work of a route in a thread, with the context of its request."""
        if route.name in self._instant:
            return work(**values)
        pool = self._quick if route.scope in _QUICK_SCOPES else self._slow
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            pool, functools.partial(context.run, functools.partial(work, **values))
        )

    async def quick(self, work: Callable[..., T], *values: Any) -> T:
        """Something short that a stream needs."""
        return await asyncio.get_running_loop().run_in_executor(self._quick, work, *values)

    async def slow(self, work: Callable[..., T], *values: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._slow, work, *values)

    async def console(self, work: Callable[..., T], *values: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._consoles, work, *values)

    def close(self) -> None:
        for pool in (self._quick, self._slow, self._consoles):
            pool.shutdown(wait=False, cancel_futures=True)


def pools_of(connection: HTTPConnection) -> Pools:
    return cast("Pools", connection.app.state.pools)
