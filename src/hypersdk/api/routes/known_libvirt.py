"""libvirt as it was known before ``/v1``; the handlers are in `api.known.libvirt`."""

from __future__ import annotations

from hypersdk.api.known.libvirt import (
    backups,
    batch,
    clones,
    consoles,
    domains,
    isos,
    networks,
    stats,
    volumes,
)

HANDLERS = {
    **domains.HANDLERS,
    **networks.HANDLERS,
    **volumes.HANDLERS,
    **stats.HANDLERS,
    **batch.HANDLERS,
    **clones.HANDLERS,
    **isos.HANDLERS,
    **backups.HANDLERS,
    **consoles.HANDLERS,
}
