"""The bars, and whether one run met them.

A bar names what it demands; every way in which a peer was called is judged, the fastest too. Rows
without a bar are there because leaving out where others win would be a lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.contender import LIMIT, OURS, RACES, Sample
from bench.drivers import bars as drivers
from bench.kvm import bars as kvm
from bench.results import Results
from bench.row import Row
from bench.vsphere import bars as vsphere

MIB = 1 << 20
GIB = 1 << 30

TITLES = {
    "first": "first backup, encrypted",
    "unchanged": "unchanged disk read in full again",
    "restore": "restore to raw",
    "second": "backup of the next day's image, read in full, about 3 % rewritten",
    "incremental": "incremental, 100 scattered changes of 64 KiB",
    "memory": "memory",
    "history": "many backups in one process",
    "gc": "prune and garbage collection",
    **kvm.TITLES,
    **drivers.TITLES,
    **vsphere.TITLES,
}

#: (measure, peer) → how many times as long as ours the peer must take.
FASTER_THAN = {
    ("first", "restic"): 8.0,
    ("first", "borg"): 3.5,
    ("first", "qemu-img"): 3.5,
    ("unchanged", "restic"): 20.0,
    ("unchanged", "borg"): 4.0,
    ("restore", "restic"): 4.0,
    ("restore", "borg"): 4.0,
}
LIMIT_SHARE = 1.2
REREAD_GIB_PER_SECOND = 1.8
INCREMENTAL_SECONDS = 3.0
#: What "independent of the size" is taken to mean: largest against smallest disk.
INCREMENTAL_GROWTH = 1.5
PEAK_MIB = 400
CACHE_MIB_PER_MILLION = 60
GC_SECONDS = 60
GC_MIB = 500


def judge(results: Results) -> list[Row]:
    """Every comparison that this run allows."""
    own = (_races, _rate, _incremental, _memory, _collection)
    parts = (*own, kvm.rows, drivers.rows, vsphere.rows)
    rows = [row for part in parts for row in part(results)]
    return sorted(rows, key=lambda row: list(TITLES).index(row.measure))


def _races(results: Results) -> Iterator[Row]:
    entries = results.entries()
    for measure in RACES:
        ours, floor = results.seconds(measure), results.seconds(measure, LIMIT)
        for found, contender, variant in entries:
            if ours is None or found != measure or contender == OURS:
                continue
            theirs = median(s.seconds for s in results.of(measure, contender, variant))
            label = f"{contender} ({variant})" if variant else contender
            yield _race_row(measure, contender, label, ours, theirs, floor)


def _race_row(
    measure: str, contender: str, label: str, ours: float, theirs: float, floor: float | None
) -> Row:
    texts = (f"{ours:.2f} s", f"{theirs:.2f} s")
    if contender == LIMIT:
        share = ours / theirs
        figure = f"{share:.2f} times its time"
        if measure != "first":
            return Row(measure, label, *texts, figure, "", "", None)
        bar = f"≤ {LIMIT_SHARE:g} times its time"
        return Row(measure, label, *texts, figure, bar, "", share <= LIMIT_SHARE)
    ratio = theirs / ours
    wanted = FASTER_THAN.get((measure, contender))
    bar = f"≥ {wanted:g} times" if wanted else ""
    reached = f"{theirs / floor:.2f} times" if wanted and floor else ""
    met = ratio >= wanted if wanted else None
    return Row(measure, label, *texts, f"{ratio:.2f} times as fast", bar, reached, met)


def _rate(results: Results) -> Iterator[Row]:
    seconds = results.seconds("unchanged")
    if seconds is None:
        return
    rate = results.allocated / GIB / seconds
    bar = f"≥ {REREAD_GIB_PER_SECOND} GiB/s"
    met = rate >= REREAD_GIB_PER_SECOND
    texts = (f"{seconds:.2f} s", "", f"{rate:.2f} GiB/s")
    yield Row("unchanged", "allocated data per second", *texts, bar, "", met)


def _incremental(results: Results) -> Iterator[Row]:
    known = {
        size: median(sample.seconds for sample in results.of("incremental", variant=size))
        for size in results.variants("incremental")
    }
    if not known:
        return
    smallest, *_, largest = known
    for size, seconds in known.items():
        bar = f"≤ {INCREMENTAL_SECONDS:g} s" if size == largest else ""
        met = seconds <= INCREMENTAL_SECONDS if size == largest else None
        what = f"{size} virtual"
        yield Row("incremental", what, f"{seconds:.2f} s", "", f"{seconds:.2f} s", bar, "", met)
    growth = known[largest] / known[smallest]
    yield Row(
        "incremental",
        f"{largest} against {smallest}",
        f"{known[largest]:.2f} s",
        f"{known[smallest]:.2f} s",
        f"{growth:.2f} times as long",
        f"≤ {INCREMENTAL_GROWTH} times",
        "",
        growth <= INCREMENTAL_GROWTH,
    )


def _memory(results: Results) -> Iterator[Row]:
    measured = [
        sample
        for sample in results.samples
        if sample.contender == OURS and sample.peak_rss and sample.measure != "gc"
    ]
    if measured:
        worst = max(measured, key=lambda sample: sample.peak_rss)
        peak = worst.peak_rss / MIB
        where = f"highest peak, in: {_where(worst)}"
        bar = f"≤ {PEAK_MIB} MiB"
        yield Row(
            "memory", where, f"{peak:.0f} MiB", "", f"{peak:.0f} MiB", bar, "", peak <= PEAK_MIB
        )
    collections = results.of("gc")
    if collections:
        cache = collections[0].details["cache_per_million"] / MIB
        what, text = "index cache per million chunks", f"{cache:.1f} MiB"
        bar = f"≤ {CACHE_MIB_PER_MILLION} MiB"
        yield Row("memory", what, text, "", text, bar, "", cache <= CACHE_MIB_PER_MILLION)


def _where(sample: Sample) -> str:
    """The measure, unless its variants say enough."""
    if sample.measure == "memory":
        return sample.variant
    return ", ".join(filter(None, (TITLES[sample.measure], sample.variant)))


def _collection(results: Results) -> Iterator[Row]:
    samples = results.of("gc")
    if not samples:
        return
    seconds = median(sample.seconds for sample in samples)
    peak = max(sample.peak_rss for sample in samples) / MIB
    what = f"{samples[0].details['chunks']:.0f} chunks"
    time, memory = f"{seconds:.1f} s", f"{peak:.0f} MiB"
    yield Row("gc", what, time, "", time, f"≤ {GC_SECONDS} s", "", seconds <= GC_SECONDS)
    yield Row("gc", "peak memory", memory, "", memory, f"≤ {GC_MIB} MiB", "", peak <= GC_MIB)
