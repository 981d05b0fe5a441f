"""What the first process of a container wrote."""

from __future__ import annotations

from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.following import Followed


class DockerLogs:
    """The ``logs`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, name: str, *, tail: int | None = None) -> bytes:
        """Raises NotSupported where the container's log driver keeps nothing to read."""
        found = self._connection.find(name)
        with native(f"read the log of '{name}'"):
            return bytes(
                self._connection.client.logs(found["Id"], tail="all" if tail is None else tail)
            )

    def follow(self, name: str) -> Followed[bytes]:
        """Raises Interrupted, HypervisorUnreachable."""
        found = self._connection.find(name)
        doing = f"follow the log of '{name}'"
        with native(doing):
            lines = self._connection.client.logs(found["Id"], stream=True, follow=True, tail=0)
        return Followed(lines, doing)
