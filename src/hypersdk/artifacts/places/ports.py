"""The contract of a place that files are brought to.

Names are relative, with ``/`` between folders: ``web/web-disk-0.vmdk``. Folders appear as they are
needed. All methods may be called from several threads at the same time, and raise

* InvalidInput for a name that leads elsewhere,
* NotFound for a file that is not there, AlreadyExists for one that would be replaced,
* StoreUnavailable (retryable), StoreDenied, StoreFull or StoreError for what the place says,
* Interrupted as soon as the token is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from hypersdk.artifacts.streams import Readable, Told, ignore
from hypersdk.datapath.cancel import CancelToken


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file in a place."""

    name: str
    #: Bytes.
    size: int
    #: Where the place tells it.
    modified: datetime | None = None
    #: SHA-256 in hex of what was sent; only after `Place.put`.
    sha256: str = ""
    #: What showed that it arrived as it was sent, besides its size: ``signature`` (each request
    #: carried a digest that the place compared), ``digest`` (the place computed one), or nothing:
    #: `comparing.compare_placed` reads it back.
    confirmed: str = ""


class Place(Protocol):
    """One folder, bucket or machine; see the module's text."""

    #: For messages; holds no secrets.
    url: str

    def put(
        self,
        name: str,
        source: Path | Readable,
        *,
        size: int | None = None,
        overwrite: bool = False,
        progress: Told = ignore,
        pace: Told = ignore,
        cancel: CancelToken | None = None,
    ) -> PlacedFile:
        """Bring a file, or all of a stream, in pieces; memory does not grow with it.

        It gets its name when it is complete: until then nothing, or what was there before, is seen
        under it. ``size`` is what a stream will have, where that is known: another amount is an
        error. ``progress`` is told bytes sent; when a file is begun anew, a negative number.
        """
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a file, in pieces."""
        ...

    def stat(self, name: str) -> PlacedFile:
        """Raises NotFound."""
        ...

    def list(self, prefix: str = "") -> Iterator[PlacedFile]:
        """Files below a folder, without unfinished ones, in any order."""
        ...

    def delete(self, name: str) -> None:
        """Nothing happens when it is not there."""
        ...

    def close(self) -> None:
        """Give connections back. May be called again."""
        ...
