"""Import a package: look, refuse early, make, write, compare, start."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.drivers.diskports import Disks, Placement
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.importing.machines import NO_NETWORK, network_of, spec_of
from hypersdk.flows.importing.options import Imported, ImportedDisk, ImportOptions
from hypersdk.flows.importing.packages import Package, open_package
from hypersdk.flows.importing.writing import DiskWriter
from hypersdk.model.errors import AlreadyExists, InstanceNotFound, NotSupported
from hypersdk.model.instances import Definition, Disk, Instance, Purpose
from hypersdk.model.progress import Reporter, silent
from hypersdk.ovf.adjusting import renamed
from hypersdk.ovf.machine import STREAM_OPTIMIZED, OvfDisk, OvfMachine
from hypersdk.ovf.writing import write_ovf


def import_package(
    path: Path,
    hypervisor: Hypervisor,
    *,
    options: ImportOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> Imported:
    """Make an instance of an OVF folder, an OVA, or an image, on any hypervisor that can.

    Digests of its manifest are compared while it is read. After a failure nothing is left of what
    was made. Raises AlreadyExists for a name that is taken, NotFound for a network or pool that is
    not here, Damaged, ImageRefused, InvalidInput, KeyRequired, HypervisorError, Interrupted.
    """
    options = options or ImportOptions()
    token = cancel or CancelToken()
    with token.scope():
        return _Import(Path(path), hypervisor, options, reporter, token).run()


class _Import:
    """One run."""

    def __init__(
        self,
        path: Path,
        hypervisor: Hypervisor,
        options: ImportOptions,
        reporter: Reporter,
        token: CancelToken,
    ) -> None:
        self._hypervisor = hypervisor
        if options.opening is not None:
            options = replace(options, opening=options.opening.ready())
        self._options = options
        self._package: Package = open_package(path, options)
        self._machine: OvfMachine = self._package.machine
        self._name = options.name or self._machine.name
        self._writer = DiskWriter(self._name, reporter, options.throttle, options.parallel)
        self._token = token
        self._warnings: list[str] = []
        self._done: dict[str, ImportedDisk] = {}

    def run(self) -> Imported:
        began = time.monotonic()
        _refuse_existing(self._hypervisor, self._name)
        instance = self._built() if self._takes_descriptors() else self._created()
        if self._options.start:
            _start(self._hypervisor, instance.name)
        order = [disk.id for disk in self._machine.disks]
        return Imported(
            instance=instance,
            disks=tuple(self._done[each] for each in order if each in self._done),
            seconds=time.monotonic() - began,
            started=self._options.start,
            verified=self._package.verified,
            warnings=tuple(self._warnings),
        )

    def _takes_descriptors(self) -> bool:
        provisioning = self._hypervisor.provisioning
        return provisioning is not None and "ovf" in provisioning.kinds

    def _built(self) -> Instance:
        """The hypervisor builds from descriptors itself."""
        provisioning = self._hypervisor.provisioning
        assert provisioning is not None
        names = {disk.id: f"disk-{number}" for number, disk in enumerate(self._machine.disks)}
        disks = [Disk(names[disk.id], disk.capacity, "vmdk") for disk in self._machine.disks]
        placement = Placement(
            name=self._name,
            new_macs=not self._options.keep_macs,
            pool=self._options.storage,
            folder=self._options.folder,
            networks=self._networks(),
        )
        definition = Definition("ovf", self._descriptor(names))
        with provisioning.build(definition, disks, placement) as building:

            def write(disk: OvfDisk, source: BlockSource, token: CancelToken) -> None:
                with building.sink(names[disk.id]) as sink:
                    self._write(disk, names[disk.id], source, sink, token)

            self._package.read(write, self._token, self._options.parallel)
            self._token.check()
            return building.commit()

    def _descriptor(self, names: Mapping[str, str]) -> bytes:
        """As it came, unless the options want another machine."""
        files = {identity: f"{name}.vmdk" for identity, name in names.items()}
        options, machine = self._options, self._machine
        wishes = options.vcpus or options.memory or options.firmware or options.bus
        if self._package.definition and not wishes:
            return renamed(self._package.definition, files)
        disks = (
            replace(
                disk,
                file=files[disk.id],
                file_size=0,
                compression="identity",
                format=STREAM_OPTIMIZED,
                bus=options.bus or disk.bus,
                controller="" if options.bus else disk.controller,
            )
            for disk in machine.disks
        )
        return write_ovf(
            replace(
                machine,
                name=self._name,
                vcpus=options.vcpus or machine.vcpus,
                memory=options.memory or machine.memory,
                firmware=options.firmware or machine.firmware,
                disks=tuple(disks),
                files=(),
            )
        )

    def _networks(self) -> dict[str, str]:
        found = {}
        for nic in self._machine.nics:
            name = network_of(nic.network, self._hypervisor, self._options, self._warnings)
            if name not in {"", NO_NETWORK}:
                found[nic.network] = name
        return found

    def _created(self) -> Instance:
        """An instance with empty disks, which are written then; removed again after an error."""
        lifecycle, disks = self._hypervisor.lifecycle, self._hypervisor.disks
        if lifecycle is None or disks is None:
            raise NotSupported(
                f"{self._hypervisor.url} cannot make instances with disks",
                hint="Import it to another hypervisor.",
            )
        spec = spec_of(self._machine, self._hypervisor, self._options, self._warnings)
        instance = lifecycle.create(spec)
        try:
            self._fill(disks, instance)
            self._token.check()
        except BaseException:
            with CancelToken().scope():
                lifecycle.delete(instance.name, disks=True)
            raise
        return instance

    def _fill(self, disks: Disks, instance: Instance) -> None:
        made = [disk.name for disk in instance.disks if disk.purpose is Purpose.DISK]
        names = {disk.id: name for disk, name in zip(self._machine.disks, made, strict=True)}
        if self._machine.firmware == "uefi" and any(
            file.endswith(".nvram") for file in self._machine.files
        ):
            self._warnings.append(
                "the UEFI variables of the package are not taken over: the firmware looks for "
                "boot entries anew"
            )
        with disks.rewrite(instance.name) as rewriting:

            def write(disk: OvfDisk, source: BlockSource, token: CancelToken) -> None:
                with rewriting.sink(names[disk.id]) as sink:
                    self._write(disk, names[disk.id], source, sink, token)
                    sink.flush()

            self._package.read(write, self._token, self._options.parallel)

    def _write(
        self, disk: OvfDisk, name: str, source: BlockSource, sink: BlockSink, token: CancelToken
    ) -> None:
        self._done[disk.id] = self._writer.write(disk, name, source, sink, token)


def _refuse_existing(hypervisor: Hypervisor, name: str) -> None:
    if hypervisor.inventory is None:
        return
    try:
        hypervisor.inventory.instance(name)
    except InstanceNotFound:
        return
    raise AlreadyExists(
        f"'{name}' exists on {hypervisor.url}", hint="Choose another name: --name NAME"
    )


def _start(hypervisor: Hypervisor, name: str) -> None:
    if hypervisor.lifecycle is None:
        raise NotSupported(f"{hypervisor.url} cannot start instances", hint="Start it there.")
    hypervisor.lifecycle.start(name)
