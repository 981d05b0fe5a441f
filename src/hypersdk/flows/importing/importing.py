"""Import a package: look, refuse early, make, write, compare, start."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.drivers.diskports import Disks, Placement
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.importing import variables
from hypersdk.flows.importing.machines import NO_NETWORK, network_of, spec_of
from hypersdk.flows.importing.options import Imported, ImportedDisk, ImportOptions
from hypersdk.flows.importing.packages import Package, open_package
from hypersdk.flows.importing.unfinished import TAG, noted, reap_imports
from hypersdk.flows.importing.variables import TakesVariables
from hypersdk.flows.importing.writing import DiskWriter
from hypersdk.model.errors import AlreadyExists, InstanceNotFound, NotSupported
from hypersdk.model.instances import Definition, Disk, Instance, Purpose
from hypersdk.model.progress import Reporter, silent
from hypersdk.ovf.adjusting import renamed
from hypersdk.ovf.machine import STREAM_OPTIMIZED, OvfDisk, OvfMachine
from hypersdk.ovf.writing import write_ovf

#: Name of the UEFI variables among the disks of an instance.
_NVRAM = Purpose.NVRAM.value


@runtime_checkable
class Warns(Protocol):
    """A building that says what it could not take over."""

    @property
    def warnings(self) -> Sequence[str]: ...


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
        self._variables = b""
        self._done: dict[str, ImportedDisk] = {}

    def run(self) -> Imported:
        began = time.monotonic()
        self._warnings += _made_free(self._hypervisor, self._name)
        self._variables = self._usable_variables()
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

    def _usable_variables(self) -> bytes:
        """The UEFI variables of the package; empty, and said, when they are of no use."""
        if not variables.file_of(self._machine.files):
            return b""
        if (self._options.firmware or self._machine.firmware) != "uefi":
            self._warnings.append("the UEFI variables of the package have no use with a BIOS")
            return b""
        content = self._package.variables()
        if not content:
            self._forgo_variables("they cannot be had before the disks of a packed archive")
        return content

    def _forgo_variables(self, why: str) -> None:
        self._warnings.append(variables.not_taken(why))
        self._variables = b""

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
            tags=self._options.tags,
        )
        if self._variables and variables.are_of_qemu(self._variables):
            self._forgo_variables("they are QEMU's, which no other firmware reads")
        if self._variables:
            disks.append(Disk(_NVRAM, len(self._variables), "raw", "", Purpose.NVRAM))
        definition = Definition("ovf", self._descriptor(names))
        with provisioning.build(definition, disks, placement) as building:

            def write(disk: OvfDisk, source: BlockSource, token: CancelToken) -> None:
                with building.sink(names[disk.id]) as sink:
                    self._write(disk, names[disk.id], source, sink, token)

            self._package.read(write, self._token, self._options.parallel)
            if self._variables:
                with building.sink(_NVRAM) as sink:
                    sink.write(0, memoryview(self._variables))
                    sink.flush()
            self._token.check()
            instance = building.commit()
        if isinstance(building, Warns):
            self._warnings += building.warnings
        return instance

    def _descriptor(self, names: Mapping[str, str]) -> bytes:
        """As it came, unless the options want another machine."""
        files = {identity: f"{name}.vmdk" for identity, name in names.items()}
        options, machine = self._options, self._machine
        wishes = options.vcpus or options.memory or options.firmware or options.bus
        if self._package.definition and not wishes:
            others = {f"{_NVRAM}.nvram": len(self._variables)} if self._variables else {}
            return renamed(self._package.definition, files, others)
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
                files=(f"{_NVRAM}.nvram",) if self._variables else (),
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
        with noted(self._hypervisor, spec.name) as token:
            instance = lifecycle.create(replace(spec, tags={**spec.tags, TAG: token}))
            try:
                self._fill(disks, instance)
                self._give_variables(instance)
                self._token.check()
            except BaseException:
                with CancelToken().scope():
                    lifecycle.delete(instance.name, disks=True)
                raise
        return instance

    def _fill(self, disks: Disks, instance: Instance) -> None:
        made = [disk.name for disk in instance.disks if disk.purpose is Purpose.DISK]
        names = {disk.id: name for disk, name in zip(self._machine.disks, made, strict=True)}
        with disks.rewrite(instance.name) as rewriting:

            def write(disk: OvfDisk, source: BlockSource, token: CancelToken) -> None:
                with rewriting.sink(names[disk.id]) as sink:
                    self._write(disk, names[disk.id], source, sink, token)
                    sink.flush()

            self._package.read(write, self._token, self._options.parallel)

    def _give_variables(self, instance: Instance) -> None:
        if not self._variables:
            return
        taker: object = self._hypervisor.provisioning
        if not isinstance(taker, TakesVariables):
            self._forgo_variables(f"{self._hypervisor.url} has no place for them")
        elif not variables.are_of_qemu(self._variables):
            whose = variables.owner(self._variables)
            self._forgo_variables(f"they are {whose}, which QEMU's firmware does not read")
        elif why := taker.take_variables(instance.name, self._variables):
            self._forgo_variables(why)

    def _write(
        self, disk: OvfDisk, name: str, source: BlockSource, sink: BlockSink, token: CancelToken
    ) -> None:
        self._done[disk.id] = self._writer.write(disk, name, source, sink, token)


def _made_free(hypervisor: Hypervisor, name: str) -> list[str]:
    """What killed imports left under this name goes; a line for each. Raises AlreadyExists for
    anything else that has it."""
    if not _is_taken(hypervisor, name):
        return []
    done = reap_imports(hypervisor, name)
    if hypervisor.leftovers is not None and _is_taken(hypervisor, name):
        done += hypervisor.leftovers.reap()  # of a lease, for example, that holds a half-made one
    if not _is_taken(hypervisor, name):
        return done
    raise AlreadyExists(
        f"'{name}' exists on {hypervisor.url}", hint="Choose another name: --name NAME"
    )


def _is_taken(hypervisor: Hypervisor, name: str) -> bool:
    if hypervisor.inventory is None:
        return False
    try:
        hypervisor.inventory.instance(name)
    except InstanceNotFound:
        return False
    return True


def _start(hypervisor: Hypervisor, name: str) -> None:
    if hypervisor.lifecycle is None:
        raise NotSupported(f"{hypervisor.url} cannot start instances", hint="Start it there.")
    hypervisor.lifecycle.start(name)
