"""What WebSockets of the known routes have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from hypersdk.api import problems
from hypersdk.model.errors import HyperSDKError


@asynccontextmanager
async def refusing(socket: WebSocket) -> AsyncIterator[None]:
    """What goes wrong before a socket is accepted is answered as to any other request."""
    try:
        yield
    except HyperSDKError as error:
        if socket.application_state is not WebSocketState.CONNECTING:
            raise
        await socket.send_denial_response(problems.answer(socket, error))


async def left(socket: WebSocket) -> None:
    """Until the client goes away; what it sends is not looked at."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def until_one_ends(*work: Awaitable[None]) -> None:
    """The others are given up. That the client went away while something was sent is no error."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
