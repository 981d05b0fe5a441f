"""How an instance is read: its power, snapshots, bandwidth."""

from __future__ import annotations

from datetime import timedelta

import click

from hypersdk import Bandwidth, SnapshotOptions
from hypersdk.cli.hyperexport.options.values import (
    BANDWIDTH,
    BURST,
    Given,
    Option,
    refuse,
    span,
    yes_no,
)

OPTIONS: tuple[Option, ...] = (
    yes_no("power-off", help="Shut it down first, and start it again afterwards."),
    click.option(
        "--power-off-timeout",
        type=span("s"),
        default="5m",
        show_default=True,
        help="For the guest to shut down.",
    ),
    click.option("--no-freeze", is_flag=True, help="Do not have its agent freeze filesystems."),
    yes_no("snapshot", help="Make a snapshot that people see, and export that."),
    click.option("--snapshot-name", metavar="NAME", help="Of it.  [default: hyperexport-TIME]"),
    yes_no("snapshot-memory", help="With the memory of the guest."),
    yes_no("snapshot-quiesce", default=True, help="With filesystems frozen.  [default: yes]"),
    yes_no("delete-snapshot", default=True, help="Delete it after the export.  [default: yes]"),
    click.option(
        "--keep-snapshots",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="With --no-delete-snapshot: only the newest N of ours stay; 0: all.",
    ),
    yes_no("consolidate-snapshots", help="Merge what snapshots left behind."),
    click.option(
        "--bandwidth-limit", type=BANDWIDTH, metavar="MB/S", help="Read at most this much: 50."
    ),
    click.option(
        "--bandwidth-burst", type=BURST, metavar="MB", help="That may pass at once after a pause."
    ),
    yes_no("adaptive-bandwidth", help="Go below the limit while reads fail or get slow."),
)

_OF_SNAPSHOTS = ("snapshot_name", "snapshot_memory", "keep_snapshots", "consolidate_snapshots")


def snapshot(given: Given) -> SnapshotOptions | None:
    """None without ``--snapshot``. Raises InvalidInput."""
    if not given["snapshot"]:
        named = [name for name in _OF_SNAPSHOTS if given[name]]
        refuse(
            named,
            f"--{''.join(named[:1]).replace('_', '-')} goes with --snapshot",
            "Add --snapshot.",
        )
        return None
    refuse(
        given["power_off"],
        "an instance that is shut down for its export needs no snapshot",
        "Leave out --power-off or --snapshot.",
    )
    return SnapshotOptions(
        name=given["snapshot_name"] or "",
        memory=given["snapshot_memory"],
        quiesce=given["snapshot_quiesce"],
        delete=given["delete_snapshot"],
        keep=given["keep_snapshots"],
        consolidate=given["consolidate_snapshots"],
    )


def bandwidth(given: Given) -> Bandwidth | None:
    """None without a limit. Raises InvalidInput."""
    if given["bandwidth_limit"] is None:
        refuse(
            given["bandwidth_burst"] is not None or given["adaptive_bandwidth"],
            "a burst or an adaptive bandwidth needs a limit",
            "Add --bandwidth-limit 50",
        )
        return None
    return Bandwidth(
        rate=given["bandwidth_limit"],
        burst=given["bandwidth_burst"] or 0,
        adaptive=given["adaptive_bandwidth"],
    )


def power_off_timeout(given: Given) -> float:
    """Seconds."""
    found: timedelta = given["power_off_timeout"]
    return found.total_seconds()
