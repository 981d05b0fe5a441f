"""Which instances the mock hypervisor has."""

from __future__ import annotations

from collections.abc import Iterator

from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import Instance


class MockInventory:
    """Reads the folder at each call."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def instances(self) -> Iterator[Instance]:
        """All instances, by name. One that is deleted meanwhile is left out."""
        found = []
        for folder in self._root.folders():
            try:
                found.append(folder.observe())
            except InstanceNotFound:
                continue
        return iter(sorted(found, key=lambda instance: instance.name))

    def instance(self, name: str) -> Instance:
        """By name, else by id. Raises InstanceNotFound."""
        return self._root.find(name).observe()
