"""Our marks of all domains, without asking for each of them at each listing.

What libvirt tells of all domains in one call does not have their metadata, and that of one domain
takes a call of its own: five times what the listing costs for it. So it is read once, and again
after libvirt has said that anything happened to the domain. Drivers inside libvirt that say nothing
are asked each time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import libvirt

from hypersdk.drivers.libvirt.ears import Ears, Note
from hypersdk.drivers.libvirt.errors import Unless
from hypersdk.drivers.libvirt.marks import NAMESPACE, Marks, noted_in
from hypersdk.drivers.libvirt.translate import parsed

_NONE = Marks()


class KeptMarks:
    """May be used by any number of threads."""

    def __init__(self, ears: Ears | None = None) -> None:
        """``ears``: None where there are no events."""
        self._ears = ears
        self._lock = threading.Lock()
        #: Of this connection; another one, after it was lost, has heard nothing meanwhile.
        self._heard_by: libvirt.virConnect | None = None
        #: UUID → marks, or who is reading them just now.
        self._known: dict[str, Marks | object] = {}

    def of_all(self, domains: Iterable[libvirt.virDomain]) -> list[Marks]:
        """Marks of each, in order. Raises libvirtError."""
        if self._ears is None:
            return [_read(domain) for domain in domains]
        connection = self._ears.listen(self._forget)
        with self._lock:
            if connection is not self._heard_by:
                self._heard_by = connection
                self._known.clear()
        return [self._of(domain) for domain in domains]

    def _of(self, domain: libvirt.virDomain) -> Marks:
        uuid = domain.UUIDString()
        known = self._known.get(uuid)
        if isinstance(known, Marks):
            return known
        reading = object()
        with self._lock:
            self._known[uuid] = reading
        found = _read(domain)
        with self._lock:
            # What changed while we were reading is not kept: the event took our place away.
            if self._known.get(uuid) is reading:
                self._known[uuid] = found
        return found

    def _forget(self, note: Note) -> None:
        """In libvirt's event loop."""
        with self._lock:
            self._known.pop(note.id, None)


def _read(domain: libvirt.virDomain) -> Marks:
    with Unless(
        libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_SUPPORT
    ):
        kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
        return noted_in(parsed(domain.metadata(kind, NAMESPACE)))
    return _NONE
