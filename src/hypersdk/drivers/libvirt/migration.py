"""Move a running domain to another libvirt host.

Both connections are ours and we lead the migration ("managed direct",
https://libvirt.org/migration.html): the hosts need not be able to log in to each other. Only the
stream of memory and disks goes from host to host, unencrypted, to a port that the destination
chooses; a firewall has to let through 49152 … 49215 there.

What does not go along: checkpoints (the destination's libvirt knows nothing of them; bitmaps do
not go either) and snapshots, with which libvirt refuses to migrate.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native, translated
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.images import Images
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorError,
    Interrupted,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.progress import Progress, Reporter, silent
from hypersdk.model.specs import DiskSpec
from hypersdk.model.units import MIB

_SCHEME = "libvirt+"
_LOCALHOST = "127.0.0.1"


class LibvirtLiveMigration:
    """The ``live_migration`` part."""

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
        """A guest that changes its memory faster than it can be sent is slowed down until it
        fits. Its definition goes along; nothing of it stays here.

        ``destination``: ``libvirt+qemu+ssh://host/system``; the memory is sent to the same host.
        ``copy_disks``: full copies, made at the same paths there, where nothing may be yet.
        ``bandwidth`` is rounded to MiB per second. Raises InvalidInput, AlreadyExists and
        HypervisorUnreachable besides what the port says. Cancelled in its last moment it succeeds.
        """
        if not destination.startswith(_SCHEME):
            raise InvalidInput(
                f"'{destination}' does not name a libvirt connection",
                hint="Write libvirt+ and libvirt's URI behind it: libvirt+qemu+ssh://host/system",
            )
        domain = self._connection.domain(name)
        with native(f"look at '{name}'"):
            if not domain.isActive():
                raise InvalidState(f"'{name}' is stopped", hint="Start it, or clone it instead.")
            persistent = bool(domain.isPersistent())
            if domain.snapshotNum():
                raise InvalidState(
                    f"'{name}' has snapshots, with which libvirt does not migrate",
                    hint="Delete them first.",
                )
        with contextlib.closing(Connection(destination.removeprefix(_SCHEME))) as target:
            flags = _flags(persistent=persistent, copy_disks=copy_disks)
            parameters = _parameters(self._connection.uri, target.uri, bandwidth)
            folders = Folders(target)
            with Images(target, folders) as images:
                if copy_disks:
                    _make_disks(name, domain, images, folders)
                _move(name, domain, target, parameters, flags, reporter)


def _flags(*, persistent: bool, copy_disks: bool) -> int:
    flags: int = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_AUTO_CONVERGE
    if persistent:
        flags |= libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    if copy_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
    return flags


def _parameters(source: str, target: str, bandwidth: int | None) -> dict[str, object]:
    """Typed parameters of ``virDomainMigrate3``."""
    parameters: dict[str, object] = {}
    host = urlsplit(target).hostname
    if host:
        # By default libvirt asks the host for its own name, which often cannot be resolved.
        brackets = f"[{host}]" if ":" in host else host
        parameters[libvirt.VIR_MIGRATE_PARAM_URI] = f"tcp://{brackets}"
    elif not urlsplit(source).hostname:
        # Two daemons of this machine; nobody else need see the stream.
        parameters[libvirt.VIR_MIGRATE_PARAM_URI] = f"tcp://{_LOCALHOST}"
        parameters[libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = _LOCALHOST
    if bandwidth is not None:
        if bandwidth <= 0:
            raise InvalidInput(
                f"a bandwidth of {bandwidth} bytes per second moves nothing",
                hint="Bytes per second, at least 1 MiB.",
            )
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = max(1, round(bandwidth / MIB))
    return parameters


def _make_disks(name: str, domain: libvirt.virDomain, images: Images, folders: Folders) -> None:
    """Empty images at the same paths. libvirt itself would make them, but only in pools, and not
    remove them after a failure."""
    with native(f"look at the disks of '{name}'"):
        xml = translate.parsed(domain.XMLDesc())
        for disk in _copied(xml):
            target, path = translate.target_of(disk), translate.source_path(disk)
            if disk.get("type") != "file":
                raise HypervisorError(
                    f"disk '{target}' of '{name}' is no file: its copy cannot be made",
                    hint="Only image files can be copied along; share it between the hosts.",
                )
            with contextlib.suppress(NotFound), folders.volume(path):
                raise AlreadyExists(
                    f"disk '{target}' of '{name}' would be copied to {path}, which exists there",
                    hint="Remove it; if it is the same disk, shared, migrate without copying.",
                )
            size, format = domain.blockInfo(target)[0], translate.disk(disk).format
            images.place(DiskSpec(path=path, size=size, format=format), name, target)


def _copied(xml: Element) -> Iterator[Element]:
    """The disks that libvirt copies: all that can be written, and belong to this domain alone."""
    for disk in xml.iterfind("devices/disk"):
        source = disk.find("source")
        if source is not None and disk.find("readonly") is None and disk.find("shareable") is None:
            yield disk


def _move(
    name: str,
    domain: libvirt.virDomain,
    target: Connection,
    parameters: dict[str, object],
    flags: int,
    reporter: Reporter,
) -> None:
    """Migrate in a thread, report and obey the token meanwhile."""
    failures: list[libvirt.libvirtError] = []
    destination = target.native

    def migrate() -> None:
        try:
            domain.migrate3(destination, parameters, flags)
        except libvirt.libvirtError as error:
            failures.append(error)

    thread = threading.Thread(target=migrate, name=f"migrate {name}", daemon=True)
    began, total = time.monotonic(), 0
    thread.start()
    try:
        with _aborting(domain, thread):
            while thread.is_alive():
                token_in_force().check()
                total = _report(name, domain, began, reporter) or total
                thread.join(WAIT_SLICE)
    except BaseException as error:
        # Nobody may take a guest that has moved for one that has not, and remove its disks.
        if _failed(failures, domain, destination):
            if isinstance(error, Interrupted):
                raise Interrupted(f"the migration of '{name}' was cancelled; it runs on") from None
            raise
    if _failed(failures, domain, destination):
        raise _explained(name, target.uri, failures[0]) from failures[0]
    reporter(Progress(name, total, total, seconds=time.monotonic() - began, finished=True))


@contextlib.contextmanager
def _aborting(domain: libvirt.virDomain, thread: threading.Thread) -> Iterator[None]:
    """Leave no migration behind, however the block ends."""
    try:
        yield
    finally:
        while thread.is_alive():
            with contextlib.suppress(libvirt.libvirtError):  # not begun yet, or just over
                domain.abortJob()
            thread.join(WAIT_SLICE)


def _failed(
    failures: list[libvirt.libvirtError],
    domain: libvirt.virDomain,
    destination: libvirt.virConnect,
) -> bool:
    """An error after the guest went on over there, when only the end was not confirmed, is none."""
    if not failures:
        return False
    with contextlib.suppress(libvirt.libvirtError):
        arrived = destination.lookupByUUID(domain.UUID())
        return not arrived.isActive() or bool(domain.isActive())
    return True


def _report(name: str, domain: libvirt.virDomain, began: float, reporter: Reporter) -> int:
    """The bytes that are to be moved, as far as is known by now."""
    try:
        job = domain.jobStats()
    except libvirt.libvirtError:
        return 0  # between two phases, or over: the thread knows how it ended
    total, left = job.get("data_total", 0), job.get("data_remaining", 0)
    if not total:
        return 0
    rate = job.get("memory_bps", 0) + job.get("disk_bps", 0)
    reporter(
        Progress(
            task=name,
            done=max(0, total - left),
            total=total,
            read=job.get("data_processed", 0),
            stored=job.get("data_processed", 0),
            seconds=time.monotonic() - began,
            rate=rate,
            eta=left / rate if rate else None,
        )
    )
    return int(total)


def _explained(name: str, destination: str, error: libvirt.libvirtError) -> HyperSDKError:
    problem = translated(error, f"migrate '{name}' to {destination}")
    if error.get_error_code() == libvirt.VIR_ERR_MIGRATE_UNSAFE:
        return InvalidState(
            problem.message,
            hint="Its disks must be on storage that both hosts share, or be copied along.",
        )
    return problem
