"""Images with known content, and small things the tests of flows do over and over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypersdk
from hypersdk import Progress, Protect, Repository
from tests.datapath.servers import run
from tests.repository.examples import CHUNK, KIB, MIB, RECIPIENT, noise

__all__ = [
    "CHUNK",
    "KIB",
    "MIB",
    "as_raw",
    "disk_content",
    "leftovers",
    "noise",
    "repository_at",
    "stopping",
    "write_image",
]


def disk_content(size: int = 4 * MIB) -> bytes:
    """Data, text, zeroes that are written, a hole; the last chunk is short for odd sizes."""
    content = noise(MIB) + b"hypersdk " * 60_000 + bytes(MIB // 2) + noise(MIB // 2, seed=1)
    return content.ljust(size, b"\0")[:size]


def write_image(path: Path, content: bytes, format: str = "raw") -> Path:
    """An image of any format; zero pages of raw ones are holes."""
    raw = path if format == "raw" else path.with_name(path.name + ".raw")
    with raw.open("wb") as file:
        file.truncate(len(content))
        for start in range(0, len(content), 4096):
            page = content[start : start + 4096]
            if any(page):
                file.seek(start)
                file.write(page)
    if format != "raw":
        run("qemu-img", "convert", "-f", "raw", "-O", format, raw, path)
        raw.unlink()
    return path


def as_raw(image: Path, format: str, size: int) -> bytes:
    """The disk in an image, as qemu-img sees it, without what the format added at its end."""
    raw = image.with_name(image.name + ".as-raw")
    run("qemu-img", "convert", "-f", format, "-O", "raw", image, raw)
    content = raw.read_bytes()
    raw.unlink()
    assert not any(content[size:])
    return content[:size]


def repository_at(tmp_path: Path) -> Repository:
    """A new encrypted repository on disk, opened with a key that reads."""
    return hypersdk.init_repository(
        tmp_path / "repository",
        protect=Protect.recipient(RECIPIENT),
        chunk_size=CHUNK,
        cache=tmp_path / "cache",
    )


def leftovers(folder: Path) -> list[str]:
    """Every name in a folder, also of hidden and unfinished files."""
    return sorted(os.listdir(folder))


def stopping(token: hypersdk.CancelToken, after: int) -> Callable[[Progress], None]:
    """A reporter that cancels once this many bytes were read."""

    def report(progress: Progress) -> None:
        if progress.read >= after:
            token.cancel()

    return report
