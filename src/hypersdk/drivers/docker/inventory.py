"""Which containers there are, read in one call however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from hypersdk.drivers.docker import translate
from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.errors import native
from hypersdk.model.instances import Instance


class DockerInventory:
    """Asks the engine each time. May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def instances(self) -> Iterator[Instance]:
        """All containers, by name. ``vcpus`` and ``memory`` are 0: the engine's list does not know
        the limits, and asking for each would cost a call for each. `instance` does."""
        with native(f"list the containers of {self._connection.url}"):
            rows = self._connection.client.containers(all=True)
        there = [row for row in rows if row["State"] != translate.REMOVING]
        return iter(sorted(map(translate.listed, there), key=attrgetter("name")))

    def instance(self, name: str) -> Instance:
        """By name, else by id; with all that is known. ``vcpus`` is the limit of processor time,
        rounded up; 0: no limit, as with ``memory``. Raises InstanceNotFound."""
        return translate.described(self._connection.find(name))
