"""Clean up what runs left that were killed: jobs, checkpoints, frozen filesystems, files."""

from __future__ import annotations

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
from hypersdk.model.errors import HyperSDKError, NotFound


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
    steps = _steps(domain, workplace) if domain is not None else []
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
    if record.frozen and domain.ID() == record.run:
        steps.append((f"{record.name}: thawed its filesystems", lambda: thaw(domain)))
    if has_job(domain, workplace.folder):
        steps.append((f"{record.name}: ended its backup job", lambda: end_job(domain)))
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
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_BACKUP:
                return None
            if not domain.isActive():
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


def end_job(domain: libvirt.virDomain) -> None:
    """End the backup job of a domain; none is no error."""
    with native(f"end the backup job of '{domain.name()}'"):
        try:
            domain.abortJob()
        except libvirt.libvirtError:
            if backup_job(domain) is not None:
                raise


def clean_folder(folder: Path) -> list[str]:
    """Clean up after one dead run, with a connection of its own."""
    workplace = DeadWorkplace.at(folder)
    if workplace is None:
        return []
    connection = Connection(workplace.record.uri)
    try:
        return clean(connection, workplace)
    finally:
        connection.close()
        workplace.close()
