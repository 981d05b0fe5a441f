"""What stays open: events, and consoles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

from starlette.responses import StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from hypersdk.api.feed import Feed, Following, Wanted
from hypersdk.api.pools import Pools
from hypersdk.api.security import protocol_of
from hypersdk.drivers.ports import SerialStream
from hypersdk.model.errors import (
    DatabaseError,
    HypervisorError,
    HypervisorUnreachable,
    NotSupported,
)
from hypersdk.model.machines import Display

#: Seconds after which a stream ends and its caller begins a new one, with credentials that are
#: looked at again.
STREAM_SECONDS = 3600.0
#: Seconds between two looks whether the caller of what stays open may still be there.
LOOK_SECONDS = 20.0
#: Seconds that connecting to a display may take.
_CONNECT = 10.0
#: Bytes of one message of a console.
_PIECE = 64 << 10
#: Seconds for which a thread waits for a serial line before it looks whether anybody is there.
_SILENCE = 0.5
#: Statuses of WebSockets: over; the other end of the console failed.
_OVER, _FAILED = 1000, 1011


#: Whether the caller would still be let in. Asks the database.
Valid = Callable[[], bool]


class Welcome:
    """Of one caller of what stays open. Belongs to the loop."""

    def __init__(self, pools: Pools, valid: Valid) -> None:
        self._pools = pools
        self._valid = valid
        self._looked = asyncio.get_running_loop().time()

    async def over(self) -> bool:
        """Whether it may not be there any more, by a look that is half a minute old at most."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        try:
            return not await self._pools.quick(self._valid)
        except DatabaseError:  # it comes back; nobody is thrown out for that
            return False

    async def ended(self) -> None:
        """Until it is over."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self.over():
                return


def event_stream(
    feed: Feed, pools: Pools, wanted: Wanted, after: int | None, valid: Valid
) -> StreamingResponse:
    """Server-sent events from now on; ``after``: first those after this number. It ends when the
    caller is not ``valid`` any more."""
    return StreamingResponse(
        _events(feed, pools, wanted, after, valid),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    feed: Feed, pools: Pools, wanted: Wanted, after: int | None, valid: Valid
) -> AsyncIterator[bytes]:
    welcome = Welcome(pools, valid)
    with _following(feed, wanted, after) as following:
        yield b"retry: 2000\n\n"
        if after is not None:
            missed = await pools.quick(feed.missed, wanted, after, following.since)
            if missed.tellings:
                yield missed.as_events
        until = asyncio.get_running_loop().time() + STREAM_SECONDS
        while (part := await following.next()) is not None:
            if await welcome.over():  # there is a sign of life every few seconds
                return
            if part.as_events:
                yield part.as_events
            if asyncio.get_running_loop().time() > until:
                return


async def event_socket(
    socket: WebSocket, feed: Feed, pools: Pools, wanted: Wanted, after: int | None, valid: Valid
) -> None:
    """The same in messages. What the other end sends is not looked at."""
    await socket.accept(subprotocol=protocol_of(socket))
    with _following(feed, wanted, after) as following:

        async def tell() -> None:
            if after is not None:
                missed = await pools.quick(feed.missed, wanted, after, following.since)
                for telling in missed.tellings:
                    await socket.send_text(telling.json)
            until = asyncio.get_running_loop().time() + STREAM_SECONDS
            while (part := await following.next()) is not None:
                for telling in part.tellings:
                    await socket.send_text(telling.json)
                if asyncio.get_running_loop().time() > until:
                    return

        await _first_of(tell(), _until_left(socket), Welcome(pools, valid).ended())
    await _close(socket, _OVER)


@contextlib.contextmanager
def _following(feed: Feed, wanted: Wanted, after: int | None) -> Iterator[Following]:
    following = feed.follow(wanted, known=after or 0)
    try:
        yield following
    finally:
        feed.leave(following)


async def serial_socket(socket: WebSocket, pools: Pools, line: SerialStream, valid: Valid) -> None:
    """Both directions of a serial line, in binary messages; text is taken as UTF-8."""
    await socket.accept(subprotocol=protocol_of(socket))
    left = asyncio.Event()

    async def read() -> None:
        while not left.is_set():
            if data := await pools.console(line.read, _SILENCE):
                await socket.send_bytes(data)

    async def write() -> None:
        async for data in _received(socket):
            await pools.slow(line.write, data)

    await _console(socket, (read(), write(), Welcome(pools, valid).ended()), left.set)


async def vnc_socket(socket: WebSocket, pools: Pools, display: Display, valid: Valid) -> None:
    """The bytes of a VNC display, both ways. Raises NotSupported, HypervisorUnreachable."""
    if display.kind != "vnc":
        raise NotSupported(
            f"its screen speaks {display.kind}, not VNC", hint="Use a client for that instead."
        )
    reader, writer = await _connected(display)
    try:
        await socket.accept(subprotocol=protocol_of(socket))

        async def read() -> None:
            while data := await reader.read(_PIECE):
                await socket.send_bytes(data)

        async def write() -> None:
            async for data in _received(socket):
                writer.write(data)
                await writer.drain()

        work = (read(), write(), Welcome(pools, valid).ended())
        await _console(socket, work, lambda: None)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _connected(display: Display) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = display.socket or f"{display.host}:{display.port}"
    try:
        async with asyncio.timeout(_CONNECT):
            if display.socket:
                return await asyncio.open_unix_connection(display.socket)
            return await asyncio.open_connection(display.host, display.port)
    except (OSError, TimeoutError) as error:
        raise HypervisorUnreachable(
            f"nothing answers at the display {where}",
            hint="The daemon must be able to connect to where the hypervisor shows it.",
        ) from error


async def _console(
    socket: WebSocket, work: Sequence[Awaitable[None]], leave: Callable[[], None]
) -> None:
    status = _OVER
    try:
        await _first_of(*work)
    except (HypervisorError, OSError):
        status = _FAILED
    finally:
        leave()
    await _close(socket, status)


async def _received(socket: WebSocket) -> AsyncIterator[bytes]:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        data = message.get("bytes")
        yield data if data is not None else message.get("text", "").encode()


async def _until_left(socket: WebSocket) -> None:
    async for _ in _received(socket):
        pass


async def _first_of(*work: Awaitable[None]) -> None:
    """Until one of them is done; the others are given up. Raises what that one raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with contextlib.suppress(WebSocketDisconnect):
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(socket: WebSocket, status: int) -> None:
    if socket.application_state is WebSocketState.CONNECTED:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the other end left
            await socket.close(status)
