"""A client that costs little: requests over connections that stay, and how long each took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What became of many requests."""

    #: Seconds of each, sorted.
    seconds: tuple[float, ...]
    #: Of all together.
    took: float
    #: Those that were not answered with 200.
    failed: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.seconds) / self.took

    def percentile(self, share: float) -> float:
        """Seconds that this share of them (0 … 1) took at most."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


@dataclass(frozen=True, slots=True)
class Target:
    host: str
    port: int
    #: Value of ``Authorization``; empty: none.
    token: str = ""

    def request(self, path: str) -> bytes:
        head = f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
        if self.token:
            head += f"Authorization: Bearer {self.token}\r\n"
        return f"{head}\r\n".encode()


async def as_fast_as_possible(
    target: Target, paths: Sequence[str], *, connections: int, seconds: float
) -> Load:
    """Each connection sends its next request when it has its answer."""
    end = time.perf_counter() + seconds
    taken: list[float] = []
    failed = 0

    async def one(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(target.host, target.port)
        requests = [target.request(path) for path in paths]
        at = number
        while (began := time.perf_counter()) < end:
            writer.write(requests[at % len(requests)])
            failed += await _answer(reader) != 200
            taken.append(time.perf_counter() - began)
            at += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(connections)))
    return Load(tuple(sorted(taken)), time.perf_counter() - began, failed)


async def at_a_rate(target: Target, path: str, *, rate: float, seconds: float) -> Load:
    """So many per second, whether they are answered or not: what waits counts."""
    taken: list[float] = []
    failed = 0
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    request = target.request(path)

    async def one(due: float) -> None:
        nonlocal failed
        if free:
            reader, writer = free.pop()
        else:
            reader, writer = await asyncio.open_connection(target.host, target.port)
        writer.write(request)
        failed += await _answer(reader) != 200
        taken.append(time.perf_counter() - due)
        free.append((reader, writer))

    began = time.perf_counter()
    running = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.append(asyncio.create_task(one(due)))
    await asyncio.gather(*running)
    for _, writer in free:
        writer.close()
    return Load(tuple(sorted(taken)), time.perf_counter() - began, failed)


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer whose body is read."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line[15:]))
    return status
