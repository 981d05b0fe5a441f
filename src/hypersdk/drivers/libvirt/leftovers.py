"""Clean up what runs left that were killed: jobs, checkpoints, frozen filesystems, files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.filesystems import thaw
from hypersdk.drivers.libvirt.records import remove_checkpoint
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.drivers.libvirt.workplace import DeadWorkplace, dead_workplaces
from hypersdk.model.errors import HyperSDKError, NotFound, OperationTimeout
from hypersdk.model.units import MIB

#: What libvirt says when there is no job, or can be none.
_NO_JOB = (libvirt.VIR_ERR_NO_DOMAIN_BACKUP, libvirt.VIR_ERR_NO_SUPPORT)
#: Seconds that a job may take to end, and between two looks whether it has.
_END_SECONDS, _LOOK_SECONDS = 30, 0.02
#: State and reason of a guest whose write failed, and bytes below which a file system is full.
_IO_ERROR = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR)
_FULL = 4 * MIB


class LibvirtLeftovers:
    """The ``leftovers`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reap(self, *, dry_run: bool = False) -> Sequence[str]:
        """See the port. Runs on other hypervisors of this host are left to their own."""
        done: list[str] = []
        for workplace in dead_workplaces():
            if workplace.record.uri == self._connection.uri:
                done += clean(self._connection, workplace, dry_run=dry_run)
        return done


def reap_domain(connection: Connection, uuid: str) -> list[str]:
    """The same for one domain, as each run does before it begins."""
    done: list[str] = []
    for workplace in dead_workplaces():
        if (workplace.record.uri, workplace.record.domain) == (connection.uri, uuid):
            done += clean(connection, workplace)
    return done


def clean(connection: Connection, workplace: DeadWorkplace, *, dry_run: bool = False) -> list[str]:
    """Undo what the record says; the folder goes last, when all else is undone."""
    record = workplace.record
    try:
        domain = connection.domain(record.domain)
    except NotFound:
        domain = None
    try:
        steps = _steps(domain, workplace) if domain is not None else []
    except HyperSDKError as error:
        return [f"{record.name}: {error.message}; left for later"]
    done: list[str] = []
    whole = True
    for line, step in steps:
        try:
            if not dry_run:
                step()
            done.append(line)
        except HyperSDKError as error:
            done.append(f"{record.name}: {error.message}; left for later")
            whole = False
    if whole:
        done.append(f"{record.name}: removed {workplace.folder}")
        if not dry_run:
            workplace.remove()
    return done


def _steps(
    domain: libvirt.virDomain, workplace: DeadWorkplace
) -> list[tuple[str, Callable[[], object]]]:
    """In the order that hurts the guest least: thaw first."""
    record = workplace.record
    steps: list[tuple[str, Callable[[], object]]] = []
    with native(f"look at '{record.name}'"):
        thawable = record.frozen and domain.ID() == record.run
    if thawable:
        steps.append((f"{record.name}: thawed its filesystems", lambda: thaw(domain)))
    if has_job(domain, workplace.folder):
        steps.append(
            (
                f"{record.name}: ended its backup job",
                lambda: end_job(domain, workplace.folder),
            )
        )
    if record.checkpoint:
        steps.append(
            (
                f"{record.name}: removed checkpoint {record.checkpoint}",
                lambda: remove_checkpoint(domain, record.checkpoint),
            )
        )
    return steps


def backup_job(domain: libvirt.virDomain) -> Element | None:
    """The backup job that is under way, ours or another program's."""
    with native(f"look at the backup job of '{domain.name()}'"):
        try:
            return parsed(domain.backupGetXMLDesc(0))
        except libvirt.libvirtError as error:
            if error.get_error_code() in _NO_JOB or not domain.isActive():
                return None
            raise


def has_job(domain: libvirt.virDomain, folder: Path) -> bool:
    """Whether the backup job that is under way is the run's with this folder.

    Its scratch files lie there, whatever its socket is called.
    """
    job = backup_job(domain)
    if job is None:
        return False
    files = (scratch.get("file", "") for scratch in job.iterfind("disks/disk/scratch"))
    return any(folder in Path(file).parents for file in files)


def is_starved(domain: libvirt.virDomain, folder: Path) -> bool:
    """Whether the guest stands still because QEMU had no room in a run's folder; see
    `scratchguard`."""
    with native(f"look at '{domain.name()}'"):
        if tuple(domain.state()) != _IO_ERROR:
            return False
    there = os.statvfs(folder)
    return there.f_bavail * there.f_frsize < _FULL


def end_job(domain: libvirt.virDomain, folder: Path) -> None:
    """End the backup job of the run with this folder, and wait until it is gone: QEMU has the files
    in the folder open until then. A guest that had to stand still goes on. None is no error.

    Raises OperationTimeout, HypervisorError.
    """
    starved = is_starved(domain, folder)
    with native(f"end the backup job of '{domain.name()}'"):
        try:
            domain.abortJob()
        except libvirt.libvirtError:
            if has_job(domain, folder):
                raise
    _wait_for_end(domain, folder)
    if starved:
        with native(f"resume '{domain.name()}'"):
            domain.resume()


def _wait_for_end(domain: libvirt.virDomain, folder: Path) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while has_job(domain, folder):
        if time.monotonic() > deadline:
            raise OperationTimeout(
                f"the backup job of '{domain.name()}' does not end within {_END_SECONDS} s",
                hint=f"See what it does: virsh domjobinfo {domain.name()}",
            )
        time.sleep(_LOOK_SECONDS)


def clean_folder(folder: Path) -> list[str]:
    """Clean up after one dead run, with a connection of its own."""
    workplace = DeadWorkplace.at(folder)
    if workplace is None:
        if not (folder / "owner").exists():  # it died before it began anything
            shutil.rmtree(folder, ignore_errors=True)
        return []
    connection = Connection(workplace.record.uri)
    try:
        return clean(connection, workplace)
    finally:
        connection.close()
        workplace.close()
