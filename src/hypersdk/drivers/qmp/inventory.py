"""Which instances there are: the folders, and what each QEMU says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from hypersdk.drivers.qmp import translate
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import Instance


class QmpInventory:
    """May be used by any number of threads."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power

    def instances(self) -> Iterator[Instance]:
        """By name. One that comes or goes meanwhile is there or not."""
        self._root.check()
        found = []
        for folder in self._root.folders():
            with suppress(InstanceNotFound):
                found.append(self.observed(folder))
        return iter(sorted(found, key=lambda instance: instance.name))

    def instance(self, name: str) -> Instance:
        """See the port."""
        self._root.check()
        return self.observed(self._root.find(name))

    def observed(self, folder: InstanceFolder) -> Instance:
        machine = folder.definition()
        return translate.instance(machine, self._power.state(folder, machine.name))
