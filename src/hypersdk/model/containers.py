"""What containers have and machines have not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Executed:
    """A command that ran inside a container to its end."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """What containers are made from."""

    #: As one asks for it: ``debian:12``.
    name: str
    #: Digest, or the engine's id.
    id: str
    #: Bytes on the host; 0 where the engine does not say.
    size: int
    #: UTC; None where the engine does not say.
    created: datetime | None = None
