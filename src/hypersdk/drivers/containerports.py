"""What only containers offer: commands inside, logs, images, their filesystem as an archive.

These are parts like those in `ports`, and its rules hold for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, Protocol

from hypersdk.model.containers import Executed, Image


class Execution(Protocol):
    """Run commands inside."""

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Executed:
        """Run to its end, without a terminal. A command that fails is a result, not an error.

        Raises InvalidState unless the instance runs, NotFound when there is no such program
        inside, OperationTimeout after ``timeout`` seconds (the command is killed).
        """
        ...


class Logs(Protocol):
    """What the first process wrote."""

    def read(self, name: str, *, tail: int | None = None) -> bytes:
        """Both streams in order; ``tail``: only so many last lines."""
        ...

    def follow(self, name: str) -> Iterator[bytes]:
        """What is written from now on, until the instance stops. Closing the iterator ends it."""
        ...


class Images(Protocol):
    """What instances are made from."""

    def images(self) -> Sequence[Image]:
        """By name."""
        ...

    def load(self, archive: BinaryIO, name: str = "") -> Sequence[Image]:
        """Take in an archive of images (OCI layout or ``docker save``), or, with ``name``, a tar
        archive of a filesystem that becomes the image of this name.

        Raises InvalidInput for what is no such archive; nothing of it stays then.
        """
        ...

    def delete(self, name: str) -> None:
        """Raises NotFound; InvalidState while an instance needs it."""
        ...


class Archives(Protocol):
    """The filesystem of an instance as a tar archive."""

    def export(self, name: str, target: BinaryIO) -> int:
        """Write the archive into ``target``; how many bytes. Volumes and mounts are not in it."""
        ...
