"""Which block nodes the disks of a running machine stand on now."""

from __future__ import annotations

from typing import Any

from hypersdk.drivers.qmp.monitor import Session


def tops(session: Session) -> dict[str, str]:
    """Disk → name of the node that its device reads and writes."""
    return {
        device: str(entry["inserted"]["node-name"])
        for device, entry in devices(session).items()
        if "inserted" in entry
    }


def devices(session: Session) -> dict[str, dict[str, Any]]:
    """Device → what ``query-block`` says of it."""
    found = {}
    for entry in session.execute("query-block"):
        # vda, or /machine/peripheral/vda/virtio-backend
        path = str(entry.get("qdev", "")).removeprefix("/machine/peripheral/")
        if path:
            found[path.partition("/")[0]] = entry
    return found
