"""Fill labs, and let HyperSDK and its peers export, back up and list what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.contender import Sample
from bench.machine import host_facts
from bench.race import Teller
from bench.results import Results
from bench.vsphere.backups import backups
from bench.vsphere.exports import exports, many
from bench.vsphere.inventories import inventories
from bench.vsphere.measures import (
    EXPORT,
    FIRST_ROW,
    FULL_BACKUP,
    GOVC,
    INCREMENTAL,
    LIBRARY,
    LIST,
    MANY,
    THROTTLED,
    UPDATE,
    Scale,
)


def run_vsphere(
    work: Path, scale: Scale, measures: Sequence[str], rounds: int, command: str, tell: Teller
) -> Results:
    """All measures that were asked for. Raises BenchError when an export is not what it was."""
    samples: list[Sample] = []
    if {THROTTLED, EXPORT} & set(measures):
        samples += exports(work / "export", scale, measures, rounds, tell)
    if MANY in measures:
        samples += many(work / "many", scale, rounds, tell)
    if {FULL_BACKUP, INCREMENTAL} & set(measures):
        samples += backups(work / "backup", scale, rounds, tell)
    if {LIST, FIRST_ROW, UPDATE} & set(measures):
        samples += inventories(work / "list", scale, measures, rounds, tell)
    return Results(
        runs={command: datetime.now(UTC).isoformat(timespec="seconds")},
        machine={**host_facts(), "vSphere": "lab on govmomi 0.56.0", LIBRARY: version("pyvmomi")},
        allocated=0,
        calls={
            f"{GOVC}, {EXPORT}": "govc export.ovf -vm big -sha 256 FOLDER",
            f"hyperexport, {FIRST_ROW}": "hyperexport -H URL",
            f"hypersdk fleet list, {FIRST_ROW}": "hypersdk fleet list -H URL",
        },
        absent=(),
        samples=tuple(samples),
    )
