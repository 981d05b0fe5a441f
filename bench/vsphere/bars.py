"""The bars of exports, incremental backups and lists of a vSphere."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.contender import OURS
from bench.results import Results
from bench.row import Row
from bench.vsphere.exports import ONE_BY_ONE
from bench.vsphere.inventories import SCREENS
from bench.vsphere.measures import (
    EXPORT,
    FIRST_ROW,
    FULL_BACKUP,
    GOVC,
    INCREMENTAL,
    LIST,
    MANY,
    PER_DATASTORE,
    PER_HOST,
    THROTTLED,
    UPDATE,
)

MIB = 1 << 20

TITLES = {
    THROTTLED: "vSphere: export of 4 disks, 50 MiB/s a stream",
    EXPORT: "vSphere: export of 4 disks, no limit",
    MANY: "vSphere: 20 machines at once, 50 MiB/s a stream",
    FULL_BACKUP: "vSphere: first backup of 100 GiB",
    INCREMENTAL: "vSphere: incremental of 100 GiB, 1000 changes",
    LIST: "vSphere: list of 10 000 machines",
    FIRST_ROW: "vSphere: first row on a terminal, of 10 000 machines",
    UPDATE: "vSphere: told of one change among 10 000 machines",
}
#: Of govc's wall clock.
THROTTLED_SHARE = 0.35
#: Bytes of disk data for each second of processor time.
RATE_MIB = 350
PEAK_MIB = 250
INCREMENTAL_SECONDS = 5.0
#: Times as long as the library's own calls.
LIST_OVERHEAD = 1.2
FIRST_SECONDS = 2.0
UPDATE_SECONDS = 1.0


def rows(results: Results) -> Iterator[Row]:
    """Every comparison that the samples allow."""
    yield from _share(results, THROTTLED, THROTTLED_SHARE)
    yield from _share(results, EXPORT, None)
    yield from _rates(results)
    yield from _peak(results, EXPORT)
    yield from _many(results)
    yield from _peak(results, FULL_BACKUP)
    if (seconds := results.seconds(INCREMENTAL)) is not None:
        yield _at_most(INCREMENTAL, "wall clock", seconds, INCREMENTAL_SECONDS)
    yield from _peak(results, INCREMENTAL)
    yield from _list(results)
    for name in SCREENS:
        if samples := results.of(FIRST_ROW, name):
            first = median(one.details["first"] for one in samples)
            yield _at_most(FIRST_ROW, f"{name}, from its start", first, FIRST_SECONDS)
    if samples := results.of(UPDATE):
        usual = median(one.details["median"] for one in samples)
        longest = max(one.details["longest"] for one in samples)
        yield _at_most(UPDATE, "median", usual, UPDATE_SECONDS)
        yield _at_most(UPDATE, "longest", longest, UPDATE_SECONDS)


def _at_most(measure: str, what: str, seconds: float, most: float) -> Row:
    text = f"{seconds:.2f} s"
    return Row(measure, what, text, "", text, f"≤ {most:g} s", met=seconds <= most)


def _share(results: Results, measure: str, bar: float | None) -> Iterator[Row]:
    ours, theirs = results.seconds(measure), results.seconds(measure, GOVC)
    if ours is None or theirs is None:
        return
    share = ours / theirs
    yield Row(
        measure,
        GOVC,
        f"{ours:.2f} s",
        f"{theirs:.2f} s",
        f"{share:.2f} times its time",
        f"≤ {bar:g} times" if bar else "",
        met=share <= bar if bar else None,
    )


def _rates(results: Results) -> Iterator[Row]:
    samples = results.of(EXPORT, OURS)
    if not samples:
        return
    alone = median(one.details["data"] / one.details["cpu"] for one in samples) / MIB
    whole = median(one.details["data"] / one.cpu_seconds for one in samples) / MIB
    for what, rate in (
        ("data per processor second, read, compared and written", alone),
        ("data per processor second, whole process", whole),
    ):
        text = f"{rate:.0f} MiB/s"
        yield Row(EXPORT, what, text, "", text, f"≥ {RATE_MIB} MiB/s", met=rate >= RATE_MIB)


def _peak(results: Results, measure: str) -> Iterator[Row]:
    samples = results.of(measure, OURS)
    if samples:
        peak = max(one.peak_rss for one in samples) / MIB
        text = f"{peak:.0f} MiB"
        bar = f"≤ {PEAK_MIB} MiB"
        yield Row(measure, "peak memory", text, "", text, bar, met=peak <= PEAK_MIB)


def _many(results: Results) -> Iterator[Row]:
    samples = results.of(MANY, OURS)
    ours, theirs = results.seconds(MANY), results.seconds(MANY, ONE_BY_ONE)
    if not samples or ours is None or theirs is None:
        return
    figure = f"{ours / theirs:.2f} times its time"
    yield Row(MANY, "one by one", f"{ours:.2f} s", f"{theirs:.2f} s", figure)
    for what, key, most in (
        ("leases open on one host", "most_per_host", PER_HOST),
        ("leases open on one datastore", "most_per_datastore", PER_DATASTORE),
        ("leases open", "most", None),
    ):
        seen = max(one.details[key] for one in samples)
        text, bar = f"{seen:.0f}", f"≤ {most}" if most else ""
        yield Row(MANY, what, text, "", text, bar, met=seen <= most if most else None)


def _list(results: Results) -> Iterator[Row]:
    samples = results.of(LIST)
    if not samples:
        return
    for what, ours, raw, bar in (
        ("pyVmomi, 12 properties", "twelve", "raw_twelve", LIST_OVERHEAD),
        ("pyVmomi, 12 properties, processor time", "twelve_cpu", "raw_twelve_cpu", LIST_OVERHEAD),
        ("pyVmomi, 8 properties; ours by name, as instances", "instances", "raw_listed", None),
    ):
        ratio = median(one.details[ours] / one.details[raw] for one in samples)
        yield Row(
            LIST,
            what,
            f"{median(one.details[ours] for one in samples):.2f} s",
            f"{median(one.details[raw] for one in samples):.2f} s",
            f"{ratio:.2f} times as long",
            f"≤ {bar:g} times" if bar else "",
            met=ratio <= bar if bar else None,
        )
    first = median(one.details["first"] for one in samples)
    yield _at_most(LIST, "first machine, connected", first, FIRST_SECONDS)
