"""How the mock hypervisor writes its files, and how it calls them."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import BinaryIO

from hypersdk.model.errors import InvalidInput

_NAME_LIMIT = 255  # bytes of UTF-8


def folder_name(name: str, what: str = "an instance") -> str:
    """Folder of ``name``: what is printable of it, and a hash of all of it.

    Raises InvalidInput for a name that cannot be one.
    """
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"the name {name!r} of {what} is not valid unicode", hint="Choose another name."
        ) from error
    if not 0 < len(encoded) <= _NAME_LIMIT:
        raise InvalidInput(
            f"the name of {what} has 1 to {_NAME_LIMIT} bytes, this one has {len(encoded)}",
            hint="Choose another name.",
        )
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or "instance"
    return f"{readable}-{hashlib.sha256(encoded).hexdigest()[:16]}"


def replace_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Readers see the old content or the new one; ``durable``: also after a power cut.

    The time of the change is set to the nanosecond: the kernel's own goes in steps of
    milliseconds, and readers that keep what they read go by it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open_private(temporary) as file:
        file.write(content)
        file.flush()
        now = time.time_ns()
        os.utime(file.fileno(), ns=(now, now))
        if durable:
            os.fsync(file.fileno())
    temporary.replace(path)


def open_private(path: Path) -> BinaryIO:
    """An empty file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def make_sparse(path: Path, size: int) -> None:
    """A file of ``size`` zeroes that takes no room."""
    with open_private(path) as file:
        file.truncate(size)
