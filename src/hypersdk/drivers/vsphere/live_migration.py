"""vMotion: a running machine moves to another host of the same vCenter.

The destination is named ``esx2.example``, with a datastore ``esx2.example/datastore2``, or, as the
URL of the same vCenter, ``vsphere://vc.example/DC0?host=esx2.example``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from pyVmomi import vim

from hypersdk.drivers.vsphere import placement
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.power import ON
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound, NotSupported
from hypersdk.model.progress import Progress, Reporter, silent

#: Seconds that moving memory and disks may take.
_SECONDS = 24 * 3600.0


class VsphereLiveMigration:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def migrate(
        self,
        name: str,
        destination: str,
        *,
        copy_disks: bool = False,
        bandwidth: int | None = None,
        reporter: Reporter = silent,
    ) -> None:
        """``copy_disks``: to a datastore of the destination, the one with most room unless it is
        named; without, the destination has to reach the datastores that it is on.

        Raises InvalidState, NotFound for a host that is not there, NotSupported for another
        vCenter and for a limit of bandwidth (vSphere's own shares are set on its networks).
        """
        vm = self._connection.vm(name)
        host_name, datastore = self._parsed(destination)
        if bandwidth is not None:
            raise NotSupported(
                "vSphere does not limit the bandwidth of a single vMotion",
                hint="Leave it out; limit the network of vMotion in vSphere.",
            )
        found = self._connection.get(vm, "runtime.powerState", "runtime.host", "datastore")
        if found["runtime.powerState"] != ON:
            raise InvalidState(f"'{name}' does not run", hint="Start it first.")
        host = self._host(host_name)
        if host.id == moid(found["runtime.host"]):
            raise InvalidState(f"'{name}' runs on {host_name} already", hint="Name another host.")
        spec = self._spec(host, found, datastore, copy_disks=copy_disks)
        what = f"move '{name}' to {host_name}"
        reporter(Progress(task=what, done=0, total=1))
        self._connection.task(lambda: vm.RelocateVM_Task(spec), what, seconds=_SECONDS)
        reporter(Progress(task=what, done=1, total=1, finished=True))

    def _parsed(self, destination: str) -> tuple[str, str]:
        """Host and datastore. Raises InvalidInput, NotSupported."""
        if "://" in destination:
            parts = urlsplit(destination)
            host = parse_qs(parts.query).get("host", [""])[0]
            ours = self._connection.address
            if parts.scheme != "vsphere" or (parts.hostname or "") != ours.host:
                raise NotSupported(
                    f"{destination} is not the vCenter of the machine; vMotion stays within it",
                    hint="Name a host of the same vCenter, as in esx2.example.",
                )
        else:
            host, _, datastore = destination.partition("/")
            if host:
                return host, datastore
        if not host:
            raise InvalidInput(
                f"'{destination}' names no host to move to",
                hint="Write esx2.example, or esx2.example/datastore2.",
            )
        return host, ""

    def _host(self, name: str) -> placement.HostPlace:
        root = placement.datacenter(self._connection)
        known = placement.hosts(self._connection, root)
        for host in known:
            if host.name == name:
                return host
        raise NotFound(
            f"there is no host '{name}' that can take machines",
            hint=f"There are: {', '.join(sorted(host.name for host in known))}.",
        )

    def _spec(
        self, host: placement.HostPlace, found: dict[str, Any], datastore: str, *, copy_disks: bool
    ) -> Any:
        needed = {moid(each) for each in found["datastore"] or ()}
        spec = vim.vm.RelocateSpec(
            host=self._connection.object(vim.HostSystem, host.id),
            pool=host.pool(self._connection),
        )
        if copy_disks or datastore:
            root = placement.datacenter(self._connection)
            known = placement.datastores(self._connection, root)
            reached = [each for each in known if each.id in host.datastores]
            chosen = placement.choose_datastore(reached, datastore, host.datastores)
            spec.datastore = self._connection.object(vim.Datastore, chosen.id)
        elif not needed <= host.datastores:
            raise InvalidState(
                f"{host.name} does not reach the datastores that the disks are on",
                hint="Have the disks copied along, or name a host that reaches them.",
            )
        return spec
