"""A moment of a running machine's disks, kept while they are read.

For each disk QEMU gets a scratch image over it, and a job that copies what the guest overwrites
from the disk to the scratch image first. The scratch image then reads as the disk did at the
moment the job began, and is exported over NBD on a private unix socket. New bitmaps, copies of the
old ones and all jobs begin in one transaction, so everything is of one moment.

All names of a run begin alike; that is how what a dead run left is found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypersdk.datapath import qemutools
from hypersdk.drivers.qmp.blocknodes import devices
from hypersdk.drivers.qmp.definition import GRANULARITY, DiskRecord
from hypersdk.drivers.qmp.errors import from_words
from hypersdk.drivers.qmp.monitor import Session
from hypersdk.model.checkpoints import Bitmap
from hypersdk.model.errors import OperationTimeout

#: Seconds that a job may take to end.
_END_SECONDS, _LOOK_SECONDS = 20.0, 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """How one disk is going to be read."""

    disk: DiskRecord
    #: Bitmap with what changed since the last point; empty: everything is read.
    since: str
    reason: str


def bitmaps(session: Session) -> dict[str, list[Bitmap]]:
    """Disk → bitmaps that QEMU keeps of it now."""
    found = {}
    for device, entry in devices(session).items():
        known = entry.get("inserted", {}).get("dirty-bitmaps", ())
        found[device] = [
            Bitmap(
                bitmap.get("name", ""),
                bitmap["granularity"],
                bitmap["recording"] and not bitmap.get("inconsistent", False),
            )
            for bitmap in known
        ]
    return found


def scratch_image(path: Path, size: int) -> None:
    """Raises LimitExceeded when there is no room."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(size)]
    done = qemutools.run(command, subject=str(path))
    if done.status != 0:
        raise from_words(done.complaint, f"make the scratch file {path}")


def begin(
    session: Session, plans: Sequence[Plan], nodes: dict[str, str], prefix: str, scratch: Path,
    bitmap: str,
) -> None:  # fmt: skip
    """Begin all jobs and ``bitmap`` on all disks that can record. ``nodes``: disk → its node."""
    actions: list[dict[str, Any]] = []
    for number, plan in enumerate(plans):
        node = nodes[plan.disk.name]
        file = {"driver": "file", "filename": str(scratch / f"scratch-{number}")}
        fleece = {"driver": "qcow2", "node-name": f"{prefix}-{number}", "file": file}
        session.send("blockdev-add", {**fleece, "backing": node})
        if plan.disk.format == "qcow2" and bitmap:
            actions.append(_bitmap_added(node, bitmap, persistent=True))
        if plan.since:
            copy = bitmap_name(prefix)
            actions.append(_bitmap_added(node, copy, disabled=True))
            merge = {"node": node, "target": copy, "bitmaps": [plan.since]}
            actions.append({"type": "block-dirty-bitmap-merge", "data": merge})
        job = {"job-id": f"{prefix}-{number}", "device": node, "target": f"{prefix}-{number}"}
        actions.append({"type": "blockdev-backup", "data": {**job, "sync": "none"}})
    session.execute("transaction", actions=actions)


def export(session: Session, plans: Sequence[Plan], prefix: str, socket: Path) -> None:
    """Serve the moment. Raises ExecuteError when QEMU serves something else already."""
    address = {"type": "unix", "data": {"path": str(socket)}}
    session.execute("nbd-server-start", addr=address, max_connections=0)
    for number, plan in enumerate(plans):
        copies = [bitmap_name(prefix)] if plan.since else []
        session.execute(
            "block-export-add",
            type="nbd",
            id=f"{prefix}-{number}",
            node_name=f"{prefix}-{number}",
            name=plan.disk.name,
            writable=False,
            bitmaps=copies,
        )


def bitmap_name(prefix: str) -> str:
    """Copy of a bitmap, as it was at the moment."""
    return f"{prefix}-changed"


def _bitmap_added(node: str, name: str, **more: bool) -> dict[str, Any]:
    data = {"node": node, "name": name, "granularity": GRANULARITY, **more}
    return {"type": "block-dirty-bitmap-add", "data": data}


def lives(session: Session, prefix: str, count: int) -> bool:
    """Whether all jobs of a run still keep their moment."""
    jobs = session.execute("query-block-jobs")
    kept = [job for job in jobs if job["device"].startswith(f"{prefix}-")]
    return len([job for job in kept if job.get("io-status", "ok") == "ok"]) == count


def end(session: Session, prefix: str) -> None:
    """Take down all that a run made, but its persistent bitmap. What is gone is no error."""
    exports = session.execute("query-block-exports")
    for export_ in exports:
        if export_["id"].startswith(f"{prefix}-"):
            session.attempt("block-export-del", id=export_["id"], mode="hard")
    if not [other for other in exports if not other["id"].startswith(f"{prefix}-")]:
        session.attempt("nbd-server-stop")
    _end_jobs(session, prefix)
    for node in session.execute("query-named-block-nodes", flat=True):
        name = node["node-name"]
        if name.startswith(f"{prefix}-"):
            session.attempt("blockdev-del", node_name=name)
        elif any(b.get("name") == bitmap_name(prefix) for b in node.get("dirty-bitmaps", ())):
            session.attempt("block-dirty-bitmap-remove", node=name, name=bitmap_name(prefix))


def _end_jobs(session: Session, prefix: str) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while True:
        jobs = [job for job in session.execute("query-jobs") if job["id"].startswith(f"{prefix}-")]
        if not jobs:
            return
        for job in jobs:
            verb = "job-dismiss" if job["status"] == "concluded" else "job-cancel"
            session.attempt(verb, id=job["id"])
        if time.monotonic() > deadline:
            raise OperationTimeout(
                f"a backup job does not end within {_END_SECONDS:g} s",
                hint="Storage of a disk may be stuck; try again, or see query-jobs.",
            )
        time.sleep(_LOOK_SECONDS)


def remove_bitmap(session: Session, bitmap: str) -> None:
    """From all disks."""
    for node in session.execute("query-named-block-nodes", flat=True):
        if any(found.get("name") == bitmap for found in node.get("dirty-bitmaps", ())):
            session.attempt("block-dirty-bitmap-remove", node=node["node-name"], name=bitmap)
