"""The bars of exports, incremental backups and lists of a vSphere."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.contender import OURS
from bench.results import Results
from bench.row import Row
from bench.vsphere.run import EXPORT, GOVC, INCREMENTAL, LIST, THROTTLED

MIB = 1 << 20

TITLES = {
    THROTTLED: "vSphere: export of 4 disks, 50 MiB/s a stream",
    EXPORT: "vSphere: export of 4 disks, no limit",
    INCREMENTAL: "vSphere: incremental of 100 GiB, 1000 changes",
    LIST: "vSphere: list of 10 000 machines",
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


def rows(results: Results) -> Iterator[Row]:
    """Every comparison that the samples allow."""
    yield from _share(results, THROTTLED, THROTTLED_SHARE)
    yield from _share(results, EXPORT, None)
    yield from _rate(results)
    yield from _incremental(results)
    yield from _list(results)


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


def _rate(results: Results) -> Iterator[Row]:
    samples = results.of(EXPORT, OURS)
    if not samples:
        return
    rate = median(one.details["data"] / one.cpu_seconds for one in samples) / MIB
    bar = f"≥ {RATE_MIB} MiB/s"
    text = f"{rate:.0f} MiB/s"
    yield Row(EXPORT, "data per processor second", text, "", text, bar, met=rate >= RATE_MIB)
    peak = max(one.peak_rss for one in samples) / MIB
    text, bar = f"{peak:.0f} MiB", f"≤ {PEAK_MIB} MiB"
    yield Row(EXPORT, "peak memory", text, "", text, bar, met=peak <= PEAK_MIB)


def _incremental(results: Results) -> Iterator[Row]:
    seconds = results.seconds(INCREMENTAL)
    if seconds is None:
        return
    text, bar = f"{seconds:.2f} s", f"≤ {INCREMENTAL_SECONDS:g} s"
    yield Row(INCREMENTAL, "wall clock", text, "", text, bar, met=seconds <= INCREMENTAL_SECONDS)


def _list(results: Results) -> Iterator[Row]:
    for sample in results.of(LIST):
        ours, raw, first = (sample.details[name] for name in ("ours", "raw", "first"))
        ratio = ours / raw
        yield Row(
            LIST,
            "pyVmomi, 12 properties",
            f"{ours:.2f} s",
            f"{raw:.2f} s",
            f"{ratio:.2f} times as long",
            f"≤ {LIST_OVERHEAD:g} times",
            met=ratio <= LIST_OVERHEAD,
        )
        text, bar = f"{first:.2f} s", f"≤ {FIRST_SECONDS:g} s"
        yield Row(LIST, "first machine", text, "", text, bar, met=first <= FIRST_SECONDS)
