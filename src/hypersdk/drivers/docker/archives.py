"""The filesystem of a container as a tar archive, straight from the engine."""

from __future__ import annotations

from typing import BinaryIO

from hypersdk.drivers.docker.connection import Connection


class DockerArchives:
    """The ``archives`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def export(self, name: str, target: BinaryIO) -> int:
        """Running or stopped; a running container writes on meanwhile: pause it for one moment.
        Raises Interrupted."""
        found = self._connection.find(name)
        written = 0
        for piece in self._connection.stream(
            f"/containers/{found['Id']}/export", doing=f"export '{name}'"
        ):
            target.write(piece)
            written += len(piece)
        return written
