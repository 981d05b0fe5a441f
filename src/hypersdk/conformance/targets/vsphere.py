"""A vCenter: what the kit makes there, and how it looks at it past the driver.

It looks with pyVmomi itself, over a session of its own: at machines, and at the files of the
datastores. With a lab (``extra: control: http://127.0.0.1:…`` in the site file) it also writes as
guests do; see docs/vsphere-lab.md. Without one there is no guest, and nothing that obeys.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

from hypersdk.config.secrets import resolve
from hypersdk.conformance.target import Expectations, Observation, Site
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import connect
from hypersdk.model.errors import HypervisorError, InvalidInput, InvalidState
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import MIB

DISK = "scsi0-0"
_MEMORY = 64 * MIB
_DISK = 16 * MIB
_SECONDS = 60.0
_STATES = {
    "poweredOn": InstanceState.RUNNING,
    "poweredOff": InstanceState.STOPPED,
    "suspended": InstanceState.PAUSED,
}
#: Kind of controller → bus in the names of disks.
_BUSES = (
    (vim.vm.device.VirtualSCSIController, "scsi"),
    (vim.vm.device.VirtualSATAController, "sata"),
    (vim.vm.device.VirtualNVMEController, "nvme"),
    (vim.vm.device.VirtualIDEController, "ide"),
)
#: A tag by which the guests of the lab do not obey.
_DEAF = {"lab.guest": "deaf"}
#: Shares of a processor at the weight that everybody has, and that weight.
_SHARES, _WEIGHT = 1000, 100


def target(url: str, site: Site) -> VsphereTarget:
    """Raises InvalidInput, HypervisorError."""
    control = site.extra.get("control", "")
    return LabTarget(url, site, control) if control else VsphereTarget(url, site)


class VsphereTarget:
    """A vCenter, or a simulation of one. Its guests have no operating system."""

    def __init__(self, url: str, site: Site) -> None:
        self.url = url
        self._site = site
        self._backend = Backend(url)
        self.observer = VsphereObserver(self._backend)
        self.guest: LabGuest | None = None
        self.expectations = Expectations(obeys_stop=False, many=100, running=20, volumes="vmdk")

    def connect(self) -> Hypervisor:
        return connect(self.url)

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(
            name=name,
            memory=_MEMORY,
            disks=(DiskSpec(name=DISK, size=_DISK, pool=self._site.extra.get("datastore", "")),),
        )

    def disk(self, name: str) -> DiskSpec | None:  # noqa: ARG002 - of the port
        return DiskSpec(size=MIB)

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        """The sockets that it keeps are shut, as by a firewall that forgot them."""
        stub: Any = hypervisor.connection.session.stub  # type: ignore[attr-defined]
        cut = False
        for connection, _ in list(stub.pool):
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
                cut = True
        return cut

    def close(self) -> None:
        self._backend.close()

    # What only some targets can do.

    def nic(self) -> NicSpec:
        return NicSpec(network=self._site.extra.get("network", "VM Network"))

    def make_foreign(self, name: str) -> None:
        self._backend.make_foreign(name, self.observer)

    def remove(self, name: str) -> None:
        found = self._backend.find(name)
        self._backend.done(found.Destroy_Task())


class LabTarget(VsphereTarget):
    """The lab: its guests obey, and write what they are told over its control connection."""

    def __init__(self, url: str, site: Site, control: str) -> None:
        super().__init__(url, site)
        self.guest = LabGuest(control)
        self.expectations = Expectations(
            many=100, running=20, start=10.0, stop=10.0, volumes="vmdk"
        )

    def stubborn(self, name: str) -> InstanceSpec:
        spec = self.spec(name)
        return InstanceSpec(name=name, memory=spec.memory, disks=spec.disks, tags=_DEAF)


class Backend:
    """The vCenter by its own API."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        reference = query.get("password-from", "env:GOVC_PASSWORD")
        self._datacenter = unquote(parts.path).strip("/")
        try:
            self._instance = SmartConnect(
                host=host,
                port=port,
                user=unquote(parts.username or os.environ.get("GOVC_USERNAME", "")),
                pwd=resolve(reference),
                sslContext=_pinned(host, port, query.get("fingerprint", "")),
            )
        except (OSError, vmodl.MethodFault) as error:
            raise HypervisorError(
                f"the kit cannot log in to {host}:{port}: {error}",
                hint="Name it in full: vsphere://USER@HOST/DATACENTER?fingerprint=SHA256",
            ) from error
        self.content: Any = self._instance.RetrieveContent()

    def close(self) -> None:
        Disconnect(self._instance)

    def all(self, kind: type) -> list[Any]:
        """All objects of a kind."""
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [kind], True)
        try:
            return list(view.view)
        finally:
            view.DestroyView()

    def rows(self, kind: type, *names: str) -> Iterator[dict[str, Any]]:
        """Properties of all objects of a kind, and the object itself; those that vanish meanwhile
        are left out."""
        objects = self.all(kind)
        if not objects:
            return
        query = vmodl.query.PropertyCollector
        spec = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=each) for each in objects],
            propSet=[query.PropertySpec(type=kind, pathSet=list(names))],
            reportMissingObjectsInResults=True,
        )
        found = self.content.propertyCollector.RetrieveContents([spec])
        for each in found:
            yield {"object": each.obj, **{prop.name: prop.val for prop in each.propSet or ()}}

    def find(self, name: str) -> Any:
        """The machine of this name. Raises HypervisorError."""
        for row in self.rows(vim.VirtualMachine, "name"):
            if unquote(row.get("name", "")) == name:
                return row["object"]
        raise HypervisorError(f"there is no machine '{name}'", hint="Was it made?")

    def datacenter(self) -> Any:
        """That of the URL, or the first."""
        found = self.all(vim.Datacenter)
        return next((each for each in found if each.name == self._datacenter), found[0])

    def make_foreign(self, name: str, observer: VsphereObserver) -> None:
        """As another program would, without our mark."""
        host = self.all(vim.HostSystem)[0]
        datastore = host.datastore[0]
        spec = vim.vm.ConfigSpec(
            name=name,
            numCPUs=1,
            memoryMB=_MEMORY // MIB,
            guestId="otherGuest64",
            files=vim.vm.FileInfo(vmPathName=f"[{datastore.name}]"),
        )
        pool, folder = host.parent.resourcePool, self.datacenter().vmFolder
        self.done(folder.CreateVM_Task(spec, pool, host))
        assert observer.look(name) is not None

    def done(self, task: Any) -> Any:
        """Wait for a task, and give its result. Raises HypervisorError.

        Never reads the whole record of a task: what it says of its subject may be of a kind that
        pyVmomi does not take there, such as the browser of a datastore.
        """
        query = vmodl.query.PropertyCollector
        about = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=task)],
            propSet=[
                query.PropertySpec(
                    type=vim.Task, pathSet=["info.state", "info.error", "info.result"]
                )
            ],
        )
        collector = self.content.propertyCollector.CreatePropertyCollector()
        try:
            collector.CreateFilter(about, True)
            known: dict[str, Any] = {}
            version = ""
            while str(known.get("info.state")) not in ("success", "error"):
                update = collector.WaitForUpdatesEx(
                    version, query.WaitOptions(maxWaitSeconds=int(_SECONDS))
                )
                version = update.version if update else version
                known |= _changes(update)
        finally:
            collector.DestroyPropertyCollector()
        # Read once more: the end may be told before the result.
        (ended,) = self.content.propertyCollector.RetrieveContents([about])
        known |= {each.name: each.val for each in ended.propSet or ()}
        if str(known["info.state"]) == "error":
            raise HypervisorError(
                f"a task failed: {known['info.error'].msg}", hint="See its events."
            )
        return known.get("info.result")


def _changes(update: Any) -> dict[str, Any]:
    """Property → value of all objects of an update."""
    return {
        change.name: change.val
        for part in (update.filterSet if update else ())
        for each in part.objectSet or ()
        for change in each.changeSet or ()
    }


class VsphereObserver:
    """Looks at machines and files."""

    _PROPERTIES = (
        "name",
        "config.instanceUuid",
        "runtime.powerState",
        "runtime.host",
        "config.hardware",
        "config.cpuAllocation",
    )

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def look(self, name: str) -> Observation | None:
        for row in self._backend.rows(vim.VirtualMachine, *self._PROPERTIES):
            if unquote(row.get("name", "")) == name and "config.hardware" in row:
                return _observation(row)
        return None

    def resources(self) -> frozenset[str]:
        """Machines, folders of the inventory, and files of datastores but for logs."""
        machines = {f"machine {row['name']}" for row in self._rows(vim.VirtualMachine)}
        return frozenset({*machines, *self._files()})

    def _rows(self, kind: type) -> Iterator[dict[str, Any]]:
        return (row for row in self._backend.rows(kind, "name") if "name" in row)

    def _files(self) -> Iterator[str]:
        browser_type = vim.host.DatastoreBrowser
        flags = browser_type.FileInfo.Details(
            fileType=False, fileSize=False, modification=False, fileOwner=False
        )
        for row in self._backend.rows(vim.Datastore, "name", "browser"):
            spec = browser_type.SearchSpec(matchPattern=["*.vm*", "*.nvram"], details=flags)
            task = row["browser"].SearchDatastoreSubFolders_Task(f"[{row['name']}]", spec)
            for folder in self._backend.done(task) or ():
                place = re.sub(r"\] (?=.)", "] ", folder.folderPath).rstrip("/")
                for file in folder.file or ():
                    yield f"file {place}/{file.path}"


def _observation(row: Mapping[str, Any]) -> Observation:
    hardware, allocation = row["config.hardware"], row.get("config.cpuAllocation")
    devices = list(hardware.device or ())
    weight, limit = None, None
    if allocation is not None and str(allocation.shares.level) == "custom":
        weight = allocation.shares.shares * _WEIGHT // (_SHARES * hardware.numCPU)
    if allocation is not None and (allocation.limit or -1) > 0:
        mhz = row["runtime.host"].summary.hardware.cpuMhz
        limit = allocation.limit / mhz
    return Observation(
        id=row.get("config.instanceUuid", ""),
        state=_STATES[str(row["runtime.powerState"])],
        vcpus=hardware.numCPU,
        cpu_weight=weight,
        cpu_limit=limit,
        memory=hardware.memoryMB * MIB,
        disks=dict(_disks(devices)),
        nics=tuple(_nics(devices)),
    )


def _disks(devices: list[Any]) -> Iterator[tuple[str, int]]:
    controllers = {device.key: device for device in devices}
    for device in devices:
        if isinstance(device, vim.vm.device.VirtualDisk):
            controller = controllers.get(device.controllerKey)
            bus = next((bus for kind, bus in _BUSES if isinstance(controller, kind)), "disk")
            number = controller.busNumber if controller is not None else 0
            yield f"{bus}{number}-{device.unitNumber}", int(device.capacityInBytes or 0)


def _nics(devices: list[Any]) -> Iterator[str]:
    for device in devices:
        if isinstance(device, vim.vm.device.VirtualEthernetCard):
            yield str(device.macAddress)


class LabGuest:
    """Writes and reads through the control connection of the lab, past all of vSphere."""

    disk = DISK

    def __init__(self, control: str) -> None:
        self._control = control.rstrip("/")

    def write(self, name: str, offset: int, data: bytes) -> None:
        text = base64.b64encode(data).decode()
        self._writes(name, {"offset": offset, "length": len(data), "data": text})

    def zero(self, name: str, offset: int, length: int) -> None:
        self._writes(name, {"offset": offset, "length": length, "zero": True})

    def read(self, name: str, offset: int, length: int) -> bytes:
        last = offset + length - 1
        return self._ask(
            f"/vms/{quote(name, safe='')}/disks/0", headers={"Range": f"bytes={offset}-{last}"}
        )

    def _writes(self, name: str, write: Mapping[str, Any]) -> None:
        body = json.dumps({"disk": 0, "writes": [write]}).encode()
        self._ask(f"/vms/{quote(name, safe='')}/writes", body)

    def _ask(self, path: str, body: bytes | None = None, **more: Any) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the lab's own address
            self._control + path, data=body, method="GET" if body is None else "POST", **more
        )
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace").strip()
            kind = InvalidState if error.code == 409 else HypervisorError
            raise kind(f"the lab refuses {path}: {said}", hint="See the lab's log.") from error


def _pinned(host: str, port: int, fingerprint: str) -> ssl.SSLContext:
    """Verified by the system's authorities, or the one certificate of this fingerprint."""
    context = ssl.create_default_context()
    if not fingerprint:
        return context
    pem = ssl.get_server_certificate((host, port), timeout=_SECONDS)
    found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    if not secrets.compare_digest(found, fingerprint.replace(":", "").lower()):
        raise InvalidInput(
            f"{host}:{port} has another certificate than the URL says",
            hint=f"Its fingerprint is {found}.",
        )
    context.check_hostname = False  # the certificate itself is compared
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=pem)
    return context
