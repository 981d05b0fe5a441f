"""WebSockets that tell of a vCenter again and again. vSphere is asked in threads; one that fails
for a while is asked again, and its clients are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from hypersdk.api.known.sockets import left, until_one_ends
from hypersdk.api.known.spelling import now
from hypersdk.api.pools import Pools
from hypersdk.api.security import protocol_of
from hypersdk.api.streams import Valid, Welcome
from hypersdk.contract.known.vsphere import StreamMessage
from hypersdk.model.errors import HyperSDKError

#: Seconds after which a client begins anew, with credentials that are looked at again.
STREAM_SECONDS = 3600.0
_OVER = 1000


class Look(Protocol):
    """Asks vSphere once; gives the data of the messages that are to go out. May block."""

    def __call__(self) -> Sequence[dict[str, Any]]: ...


async def stream(
    socket: WebSocket, pools: Pools, kind: str, look: Look, every: float, valid: Valid
) -> None:
    """Messages of ``kind``, until the client leaves, is not ``valid`` any more or an hour has
    passed. The first look is made
    before the socket is accepted: what cannot be at all is refused. ``every``: seconds. Raises
    what the first look raises."""
    first = await pools.slow(look)
    await socket.accept(subprotocol=protocol_of(socket))

    async def tell() -> None:
        await _send(socket, kind, first)
        until = asyncio.get_running_loop().time() + STREAM_SECONDS
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(every)
            try:
                found = await pools.slow(look)
            except HyperSDKError as error:
                await _send(socket, "error", [{"message": error.message, "hint": error.hint}])
                if not error.retryable:
                    return
            else:
                await _send(socket, kind, found)

    await until_one_ends(tell(), left(socket), Welcome(pools, valid).ended())
    if socket.application_state is WebSocketState.CONNECTED:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it was the client who left
            await socket.close(_OVER)


async def _send(socket: WebSocket, kind: str, found: Sequence[dict[str, Any]]) -> None:
    for data in found:
        message = StreamMessage(type=kind, timestamp=now(), data=data)
        await socket.send_text(message.model_dump_json())


class Newer:
    """What was not told before, by a number or a text that grows or changes."""

    def __init__(self) -> None:
        self._told: dict[str, object] = {}

    def of(self, found: Sequence[tuple[str, object, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Each with its id and what changes when it changes. What is gone is forgotten."""
        fresh = [data for id, mark, data in found if self._told.get(id, _NEVER) != mark]
        self._told = {id: mark for id, mark, _ in found}
        return fresh


_NEVER = object()
