"""``/ws``: status and jobs at once, then changes of jobs, and figures every second.

Each message is made once for all clients that see the same. One that reads slower than messages
come is let go; it comes back and begins with what is the case then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from hypersdk.api.known import shown
from hypersdk.api.known.figures import Figures
from hypersdk.api.known.sockets import left, until_one_ends
from hypersdk.api.known.spelling import now
from hypersdk.api.metrics import Metrics
from hypersdk.api.pools import Pools
from hypersdk.api.security import protocol_of
from hypersdk.api.services import Services
from hypersdk.api.streams import Welcome
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import DatabaseError
from hypersdk.model.estate import Event
from hypersdk.model.jobs import Job, JobFilter, JobState
from hypersdk.observe.log import get_logger

#: Messages that wait for one client.
WAITING_MOST = 256
#: Seconds between figures.
INTERVAL = 1.0
#: Jobs that a new client is told of.
_JOBS = 1000
#: Status of a WebSocket: the client is too slow.
_TOO_SLOW = 1013

_log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class Client:
    """Lives in the loop of the server."""

    #: None: sees everything.
    tenant: str | None
    #: Encoded; None: it is over.
    waiting: asyncio.Queue[str | None] = field(
        default_factory=lambda: asyncio.Queue(WAITING_MOST + 1)
    )


def message(type: str, data: Mapping[str, Any]) -> str:
    """As it goes out."""
    return json.dumps({"type": type, "timestamp": now().isoformat(), "data": dict(data)})


class Live:
    """All clients of one application."""

    def __init__(self, services: Services, pools: Pools, metrics: Metrics) -> None:
        self._services = services
        self._pools = pools
        self._figures = Figures(services, metrics)
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticking: asyncio.Task[None] | None = None
        services.feed.watch(self._changed)

    async def serve(self, socket: WebSocket, who: Principal) -> None:
        """Until either end has enough."""
        await socket.accept(subprotocol=protocol_of(socket))
        client = Client(who.tenant or None)
        self._enter(client)
        try:
            for first in await self._pools.quick(self._beginning, client.tenant):
                await socket.send_text(first)
            valid = partial(self._services.access.valid, who)
            ended = Welcome(self._pools, valid).ended()
            await until_one_ends(self._tell(socket, client), left(socket), ended)
            if socket.application_state is WebSocketState.CONNECTED:
                await socket.close()
        except (WebSocketDisconnect, RuntimeError):
            pass  # it went away while something was sent
        finally:
            self._leave(client)

    def _enter(self, client: Client) -> None:
        self._loop = asyncio.get_running_loop()
        self._clients.add(client)
        if self._ticking is None or self._ticking.done():
            self._ticking = self._loop.create_task(self._tick())

    def _leave(self, client: Client) -> None:
        self._clients.discard(client)
        if not self._clients and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def _beginning(self, tenant: str | None) -> list[str]:
        counts = self._services.feed.counts(tenant)
        page = self._services.jobs.list(JobFilter(tenant=tenant), limit=_JOBS)
        status = {
            "total_jobs": sum(counts.values()),
            "running_jobs": counts[JobState.RUNNING],
            "completed_jobs": counts[JobState.COMPLETED],
            "failed_jobs": counts[JobState.FAILED],
        }
        jobs = [_job(each) for each in page.jobs]
        return [message("status", status), message("jobs", {"jobs": jobs})]

    async def _tell(self, socket: WebSocket, client: Client) -> None:
        while (text := await client.waiting.get()) is not None:
            await socket.send_text(text)
        if socket.application_state is WebSocketState.CONNECTED:
            await socket.close(_TOO_SLOW, "too slow")

    async def _tick(self) -> None:
        while self._clients:
            for tenant in {client.tenant for client in self._clients}:
                try:
                    raw = await self._pools.quick(self._figures.read, tenant, len(self._clients))
                except DatabaseError as error:
                    _log.warning("figures cannot be read", reason=error.message)
                    continue
                self._hand_out([(tenant, message("metrics", {"raw": raw}))], exactly=True)
            await asyncio.sleep(INTERVAL)

    def _changed(self, jobs: Sequence[Job], events: Sequence[Event]) -> None:
        """Called from the feed's thread."""
        loop = self._loop
        if loop is None or not self._clients:
            return
        texts = [(job.tenant, message("job_update", _job(job))) for job in jobs]
        texts += [
            (event.tenant, message("schedule_event", _schedule(event)))
            for event in events
            if event.name.startswith("schedule.")
        ]
        with contextlib.suppress(RuntimeError):  # the loop closed meanwhile
            loop.call_soon_threadsafe(self._hand_out, texts)

    def _hand_out(self, texts: Sequence[tuple[str | None, str]], exactly: bool = False) -> None:
        """``exactly``: to those of the tenant alone; otherwise also to those who see all."""
        for client in tuple(self._clients):
            for tenant, text in texts:
                if client.tenant == tenant or (client.tenant is None and not exactly):
                    self._give(client, text)

    def _give(self, client: Client, text: str) -> None:
        if client not in self._clients:
            return
        if client.waiting.qsize() < WAITING_MOST:
            client.waiting.put_nowait(text)
            return
        self._clients.discard(client)
        while not client.waiting.empty():  # what waits is no use to it any more
            client.waiting.get_nowait()
        client.waiting.put_nowait(None)


def live_of(app: Starlette) -> Live:
    """That of an application, made when it is first asked for."""
    state = app.state
    if not hasattr(state, "known_live"):
        state.known_live = Live(state.services, state.pools, state.metrics)
    found: Live = state.known_live
    return found


def _job(job: Job) -> dict[str, Any]:
    whole = shown.job(job).model_dump(mode="json")
    wanted = ("definition", "status", "paused", "progress", "result", "error")
    return {name: whole[name] for name in wanted if name in whole}


def _schedule(event: Event) -> dict[str, Any]:
    return {
        **event.data,
        "schedule_id": event.subject.rpartition("/")[2],
        "event": event.name.partition(".")[2],
    }
