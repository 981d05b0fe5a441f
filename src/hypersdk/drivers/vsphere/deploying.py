"""Clones that go where somebody wants them: folder, resource pool, datastore, from a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pyVmomi import vim

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.vsphere import finding, placement, tags
from hypersdk.drivers.vsphere.clones import VsphereClones
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.folders import Folders
from hypersdk.drivers.vsphere.lifecycle import VsphereLifecycle, described, refuse_taken
from hypersdk.drivers.vsphere.power import OFF, Making
from hypersdk.drivers.vsphere.resourcepools import VspherePools
from hypersdk.drivers.vsphere.snapshots import nodes
from hypersdk.drivers.vsphere.specs import check_name
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound
from hypersdk.model.instances import Instance
from hypersdk.model.management import CloneWish

_FOUND = (
    "runtime.powerState",
    "runtime.host",
    "config.extraConfig",
    "config.hardware.device",
    "parent",
    "resourcePool",
    "snapshot",
)


@dataclass(frozen=True, slots=True)
class Clone:
    """What was made."""

    instance: Instance
    #: ``DC0/vm/prod/web``.
    path: str


class VsphereDeploying:
    """No part of the port: an attribute of `VsphereHypervisor`. Safe in threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def clone(self, wish: CloneWish) -> Clone:
        """A linked clone without a snapshot is made as `VsphereClones.clone` makes it: its
        original becomes a template. Nothing is left after a failure.

        Raises InvalidState for a running original without a snapshot, AlreadyExists, NotFound,
        InvalidInput."""
        check_name(wish.name)
        if wish.start and wish.template:
            raise InvalidInput(
                f"'{wish.name}' cannot be a template and run", hint="Ask for one of the two."
            )
        plain = not (wish.folder or wish.pool or wish.datastore or wish.snapshot)
        if plain and wish.linked:
            made = VsphereClones(self._connection).clone(wish.source, wish.name, linked=True)
        else:
            made = self._clone(wish)
        if wish.template:
            VsphereClones(self._connection).make_template(wish.name)
        if wish.start:
            VsphereLifecycle(self._connection).start(wish.name)
        machine = self._connection.vm(wish.name)
        parent = self._connection.get(machine, "parent")["parent"]
        return Clone(made, finding.place(self._connection, parent).path(wish.name))

    def _clone(self, wish: CloneWish) -> Instance:
        connection = self._connection
        vm = connection.vm(wish.source)
        found = connection.get(vm, *_FOUND)
        if found["runtime.powerState"] != OFF and not wish.snapshot:
            raise InvalidState(
                f"'{wish.source}' is not stopped",
                hint="Stop it first, or name one of its snapshots to clone.",
            )
        if wish.linked and not wish.snapshot:
            raise InvalidInput(
                "a linked clone in a place of its own needs a snapshot that it is based on",
                hint="Name a snapshot of the source, or leave out folder, pool and datastore.",
            )
        refuse_taken(connection, wish.name)
        spec = self._spec(wish, found)
        folders = Folders(connection, self._top_folder())
        try:
            folder = folders.ensure(wish.folder) if wish.folder else self._folder(found)
            made = Making(connection).run(
                lambda: vm.CloneVM_Task(folder=folder, name=wish.name, spec=spec),
                f"clone '{wish.source}' to '{wish.name}'",
            )
        except BaseException:
            with CancelToken().scope():
                folders.remove_made()
            raise
        return described(connection, made)

    def _spec(self, wish: CloneWish, found: dict[str, Any]) -> Any:
        location = vim.vm.RelocateSpec(
            pool=self._pool(wish, found),
            host=None if wish.pool else found["runtime.host"],
            datastore=self._datastore(wish.datastore) if wish.datastore else None,
            diskMoveType="createNewChildDiskBacking"
            if wish.linked
            else "moveAllDiskBackingsAndDisallowSharing",
        )
        config = vim.vm.ConfigSpec(
            uuid=str(uuid4()),
            instanceUuid=str(uuid4()),
            extraConfig=tags.carried(tags.settings(found["config.extraConfig"])),
        )
        return vim.vm.CloneSpec(
            location=location,
            snapshot=self._snapshot(wish, found) if wish.snapshot else None,
            config=config,
            powerOn=False,
            template=False,
        )

    def _pool(self, wish: CloneWish, found: dict[str, Any]) -> Any:
        if wish.pool:
            return VspherePools(self._connection).find(wish.pool)
        if found["resourcePool"] is not None:
            return found["resourcePool"]
        compute = self._connection.get(found["runtime.host"], "parent")["parent"]
        return self._connection.get(compute, "resourcePool")["resourcePool"]

    def _datastore(self, name: str) -> Any:
        known = placement.datastores(self._connection, placement.datacenter(self._connection))
        chosen = placement.choose_datastore(known, name, ())
        return self._connection.object(vim.Datastore, chosen.id)

    def _snapshot(self, wish: CloneWish, found: dict[str, Any]) -> Any:
        trees = found["snapshot"].rootSnapshotList if found["snapshot"] else ()
        names = []
        for node in nodes(trees):
            if node.tree.name == wish.snapshot:
                return node.tree.snapshot
            names.append(node.tree.name)
        raise NotFound(
            f"'{wish.source}' has no snapshot '{wish.snapshot}'",
            hint=f"It has {', '.join(names)}." if names else "It has none.",
        )

    def _top_folder(self) -> Any:
        top = placement.datacenter(self._connection)
        return self._connection.get(top, "vmFolder")["vmFolder"]

    def _folder(self, found: dict[str, Any]) -> Any:
        """That of the original; one in a vApp has none, its clone goes to the top."""
        return found["parent"] if isinstance(found["parent"], vim.Folder) else self._top_folder()
