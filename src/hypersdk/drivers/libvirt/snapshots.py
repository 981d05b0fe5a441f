"""Points in time that libvirt keeps: inside qcow2 images, or as overlays over them.

=========  ===================  ==========================================================
instance   asked for            what is made
=========  ===================  ==========================================================
running    with memory          internal, when all its disks are qcow2 and its firmware is
                                BIOS (a UEFI's variables cannot be kept inside); otherwise
                                external: a file with the memory beside the first disk,
                                and an overlay for each disk
running    disks only           external: QEMU has no internal snapshot without memory
stopped    disks only           internal, under the same conditions, else external
=========  ===================  ==========================================================

While memory is kept the guest stands still.

What libvirt 9 cannot do is refused before it does harm. It reverts no external snapshots (9.9
does; `reverting` does it for the last one); it reverts images under the overlays of external ones,
which are nonsense then; it commits overlays although internal snapshots are in them.

Checkpoints and internal snapshots do not go together: QEMU cannot load a state into a disk with a
dirty bitmap, and ends. None is made or reverted while a domain has checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.elements import document, element
from hypersdk.drivers.libvirt.errors import native, translated
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.guestagent import LibvirtGuestAgent
from hypersdk.drivers.libvirt.reverting import renew_overlays
from hypersdk.drivers.libvirt.snapshotxml import (
    domain_then,
    goes_inside,
    is_internal,
    kept_disks,
    overlay_files,
    request,
    snapshot_of,
)
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorError,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.machines import Snapshot

#: libvirt's version that reverts external snapshots, as it is numbered.
_REVERTS_ALL = 9_009_000


class LibvirtSnapshots:
    """The ``snapshots`` part."""

    def __init__(self, connection: Connection, folders: Folders) -> None:
        self._connection = connection
        self._folders = folders
        self.limits = _limits(connection)

    def create(
        self,
        name: str,
        snapshot: str,
        *,
        memory: bool = False,
        quiesce: bool = False,
        description: str = "",
    ) -> Snapshot:
        """Raises InvalidInput for a name that libvirt cannot keep, GuestAgentMissing."""
        if not snapshot or snapshot.startswith(".") or "/" in snapshot:
            raise InvalidInput(
                f"'{snapshot}' cannot be the name of a snapshot",
                hint="libvirt allows neither '/' in it nor '.' at its begin.",
            )
        domain = self._connection.domain(name)
        with native(f"look at '{name}'"):
            active = bool(domain.isActive())
            xml = translate.parsed(domain.XMLDesc())
            if any(kept.getName() == snapshot for kept in domain.listAllSnapshots()):
                raise AlreadyExists(
                    f"'{name}' has a snapshot '{snapshot}' already",
                    hint="Choose another name, or delete it first.",
                )
        _check_request(name, active, memory, quiesce)
        if quiesce:
            LibvirtGuestAgent(self._connection).ping(name)
        internal = goes_inside(xml, active=active, memory=memory)
        if internal:
            _check_no_checkpoints(name, domain, "an internal snapshot cannot be made")
        root, flags = request(xml, snapshot, internal=internal, memory=memory)
        root.append(element("description", text=description))
        if quiesce:
            flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE
        with native(f"make snapshot '{snapshot}' of '{name}'"):
            domain.snapshotCreateXML(document(root), flags)
        return self._named(name, snapshot)

    def snapshots(self, name: str) -> Sequence[Snapshot]:
        domain = self._connection.domain(name)
        with native(f"list the snapshots of '{name}'"):
            current = domain.snapshotCurrent().getName() if domain.hasCurrentSnapshot() else None
            return [
                snapshot_of(translate.parsed(kept.getXMLDesc()), current)
                for kept in domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
            ]

    def revert(self, name: str, snapshot: str) -> None:
        """It runs, is paused or stopped afterwards as it was then.

        Raises InvalidState while it has checkpoints, or external snapshots build on the content
        that would be changed; before libvirt 9.9 NotSupported for an external snapshot with memory
        or with others after it.
        """
        domain = self._connection.domain(name)
        kept, xml = _kept(name, domain, snapshot)
        if is_internal(xml):
            _check_no_checkpoints(name, domain, f"snapshot '{snapshot}' cannot be reverted")
            _check_no_overlays(name, domain, xml)
        try:
            # Without FORCE libvirt refuses where devices differ from what they were then, which
            # is what reverting is to undo.
            domain.revertToSnapshot(kept, libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE)
        except libvirt.libvirtError as error:
            code = error.get_error_code()
            if code != libvirt.VIR_ERR_CONFIG_UNSUPPORTED or is_internal(xml):
                raise translated(error, f"revert '{name}' to '{snapshot}'") from error
            renew_overlays(self._connection, self._folders, domain, snapshot)

    def delete(self, name: str, snapshot: str, *, children: bool = False) -> None:
        """Overlays of an external snapshot are committed to what they lie over.

        One after another, the last first, also with ``children``: libvirt cannot delete external
        snapshots together. What was deleted before a failure stays deleted.
        """
        domain = self._connection.domain(name)
        _kept(name, domain, snapshot)
        doomed = [snapshot]
        if children:
            listed = [(each.name, each.parent) for each in self.snapshots(name)]
            for child, parent in listed:  # parents come before children
                if parent in doomed:
                    doomed.append(child)
        for each in reversed(doomed):
            self._delete_one(name, domain, each)

    def _delete_one(self, name: str, domain: libvirt.virDomain, snapshot: str) -> None:
        kept, xml = _kept(name, domain, snapshot)
        external = not is_internal(xml)
        with native(f"look at '{name}'"):
            if external and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                # QEMU may hold its images read-only then ("Block node is read-only"), and a
                # deletion that failed half-way cannot be repeated in libvirt 9.0.
                raise InvalidState(
                    f"'{name}' is paused, so overlays of '{snapshot}' cannot be committed",
                    hint="Resume or stop it first.",
                )
        if external:
            _check_nothing_inside(name, domain, xml)
        try:
            kept.delete()
        except libvirt.libvirtError as error:
            problem = translated(error, f"delete snapshot '{snapshot}' of '{name}'")
            if external:
                problem.hint = (
                    "libvirt deletes no external snapshot that has an internal one before it. "
                    "For others, starting the instance or deleting newer ones first may help."
                )
            raise problem from error
        self._remove_memory(name, snapshot, xml)

    def _remove_memory(self, name: str, snapshot: str, xml: Element) -> None:
        """The file with the memory, which libvirt 9.0 leaves behind."""
        memory = xml.find("memory")
        path = "" if memory is None else memory.get("file", "")
        if not path:
            return
        try:
            with self._folders.volume(path) as volume, native(f"delete {path}"):
                volume.delete()
        except NotFound:
            return
        except HyperSDKError as error:
            raise HypervisorError(
                f"snapshot '{snapshot}' of '{name}' is deleted, but its memory was kept: "
                f"{error.message}",
                hint=f"Remove {path} by hand.",
            ) from error

    def _named(self, name: str, snapshot: str) -> Snapshot:
        found = [kept for kept in self.snapshots(name) if kept.name == snapshot]
        if not found:
            raise NotFound(
                f"snapshot '{snapshot}' of '{name}' was deleted at once by another",
                hint="Take it again.",
            )
        return found[0]


def _limits(connection: Connection) -> tuple[Limit, ...]:
    with native("see what libvirt can revert"):
        number = connection.native.getLibVersion()
        if connection.native.getType() == "TEST" or number >= _REVERTS_ALL:
            return ()
    found = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
    note = (
        f"libvirt {found} reverts external snapshots (of disks alone while it runs, of raw images, "
        "with UEFI) only when none was made after them; 9.9 and later revert all"
    )
    return (Limit("snapshots.tree", note),)


def _check_request(name: str, active: bool, memory: bool, quiesce: bool) -> None:
    if not active and (memory or quiesce):
        asked = "running state to keep" if memory else "filesystem to freeze"
        raise InvalidState(
            f"'{name}' is stopped and has no {asked}",
            hint="Take a snapshot of its disks: without memory, without quiescing.",
        )
    if memory and quiesce:
        raise InvalidInput(
            "a snapshot with memory needs no frozen filesystems: what is not written yet is in it",
            hint="Ask for one of the two.",
        )


def _check_no_checkpoints(name: str, domain: libvirt.virDomain, what: str) -> None:
    try:
        checkpoints = [checkpoint.getName() for checkpoint in domain.listAllCheckpoints()]
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return
        raise translated(error, f"list the checkpoints of '{name}'") from error
    if checkpoints:
        raise InvalidState(
            f"{what}: '{name}' has checkpoints ({', '.join(checkpoints)}), by which backups know "
            "what changed, and QEMU cannot have both",
            hint="Delete the checkpoints first; the next backup then reads everything once.",
        )


def _check_no_overlays(name: str, domain: libvirt.virDomain, xml: Element) -> None:
    """Reverting gives the images back their old content, under overlays that count on the new."""
    images = {translate.source_path(disk) for disk in kept_disks(domain_then(xml))}
    for kept in domain.listAllSnapshots():
        other = translate.parsed(kept.getXMLDesc())
        bases = {translate.source_path(disk) for disk in kept_disks(domain_then(other))}
        if not is_internal(other) and images & bases:
            raise InvalidState(
                f"'{name}' cannot be reverted to '{xml.findtext('name')}': the overlays of "
                f"external snapshot '{kept.getName()}' lie over the images that would change, and "
                "would be destroyed",
                hint=f"Delete snapshot '{kept.getName()}' first; its content is kept.",
            )


def _check_nothing_inside(name: str, domain: libvirt.virDomain, xml: Element) -> None:
    """libvirt 9.0 commits and removes overlays also when internal snapshots live in them."""
    overlays = overlay_files(xml)
    for kept in domain.listAllSnapshots():
        other = translate.parsed(kept.getXMLDesc())
        images = {translate.source_path(disk) for disk in kept_disks(domain_then(other))}
        if is_internal(other) and overlays & images:
            raise InvalidState(
                f"snapshot '{xml.findtext('name')}' of '{name}' cannot be deleted: snapshot "
                f"'{kept.getName()}' is inside its overlays and would be destroyed",
                hint=f"Delete '{kept.getName()}' first, or both: with children.",
            )


def _kept(
    name: str, domain: libvirt.virDomain, snapshot: str
) -> tuple[libvirt.virDomainSnapshot, Element]:
    with native(f"find snapshot '{snapshot}' of '{name}'"):
        kept = domain.snapshotLookupByName(snapshot)
        return kept, translate.parsed(kept.getXMLDesc())
