"""The bars of the measures on a running guest."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.contender import OURS, Sample
from bench.kvm.contenders import (
    CHUNK_SIZES,
    COMPRESSED,
    FULL,
    IDLE,
    IDLE_GUEST,
    LATENCY,
    PARALLEL,
    PEER,
    RESTORE,
    SCATTERED,
)
from bench.results import Results
from bench.row import Row

MIB = 1 << 20

TITLES = {
    FULL: "KVM: full backup of a running guest, compressed and encrypted",
    IDLE: "KVM: incremental backup of a guest that wrote nothing",
    SCATTERED: "KVM: incremental backup after scattered writes of 8 KiB",
    RESTORE: "KVM: restore to qcow2 of a full and two incremental backups",
    LATENCY: "KVM: latency of the guest's writes during a full backup",
    PARALLEL: "KVM: domains backed up at once, each by a process of its own",
}

#: (measure, variant of the peer) → how many times as long as ours the peer must take.
FASTER_THAN = {
    (FULL, COMPRESSED): 2.5,
    (FULL, ""): 1.5,
    (RESTORE, COMPRESSED): 1.5,
    (RESTORE, ""): 1.5,
}
IDLE_SECONDS = 1.5
#: Of the peer's time.
IDLE_SHARE = 1.0
#: What ours is called with when no chunk size is named.
DEFAULT_CHUNKS = "256KiB, the default"


def rows(results: Results) -> Iterator[Row]:
    """Every comparison that the samples allow."""
    for measure in (FULL, RESTORE):
        yield from _faster(results, measure)
    yield from _idle(results)
    yield from _scattered(results)
    yield from _latency(results)
    yield from _parallel(results)


def _faster(results: Results, measure: str) -> Iterator[Row]:
    for chunks in ("", *CHUNK_SIZES):
        for peer in results.variants(measure, PEER):
            ours = results.seconds(measure, OURS, chunks)
            theirs = results.seconds(measure, PEER, peer)
            if ours is None or theirs is None:
                continue
            wanted = FASTER_THAN[measure, peer] if not chunks else None
            yield Row(
                measure,
                _label(peer, chunks),
                f"{ours:.2f} s",
                f"{theirs:.2f} s",
                f"{theirs / ours:.2f} times as fast",
                f"≥ {wanted:g} times" if wanted else "",
                met=theirs / ours >= wanted if wanted else None,
            )


def _idle(results: Results) -> Iterator[Row]:
    ours = results.seconds(IDLE)
    if ours is None:
        return
    time = f"{ours:.2f} s"
    yield Row(IDLE, "time", time, "", time, f"≤ {IDLE_SECONDS:g} s", met=ours <= IDLE_SECONDS)
    for peer in results.variants(IDLE, PEER):
        theirs = median(sample.seconds for sample in results.of(IDLE, PEER, peer))
        share = ours / theirs
        texts = (time, f"{theirs:.2f} s", f"{share:.2f} times its time")
        bar = f"≤ {IDLE_SHARE:g} times its time"
        yield Row(IDLE, _label(peer, ""), *texts, bar, met=share <= IDLE_SHARE)


def _scattered(results: Results) -> Iterator[Row]:
    for chunks in (CHUNK_SIZES[0], "", *CHUNK_SIZES[1:]):
        for peer in results.variants(SCATTERED, PEER):
            mine, their = results.of(SCATTERED, OURS, chunks), results.of(SCATTERED, PEER, peer)
            if not mine:
                continue
            label = _label(peer, chunks or DEFAULT_CHUNKS)
            ours, theirs = (median(s.seconds for s in samples) for samples in (mine, their))
            texts = (f"{ours:.2f} s", f"{theirs:.2f} s", f"{theirs / ours:.2f} times as fast")
            yield Row(SCATTERED, f"{label}: time", *texts)
            added, theirs_added = _added(mine), _added(their)
            sizes = (f"{added:.0f} MiB", f"{theirs_added:.0f} MiB")
            figure = f"{added / theirs_added:.2f} times its bytes"
            yield Row(SCATTERED, f"{label}: stored", *sizes, figure)


def _added(samples: list[Sample]) -> float:
    """MiB by which the store grew."""
    return median(sample.details["added"] for sample in samples) / MIB


def _latency(results: Results) -> Iterator[Row]:
    for name, title in (("p50_ms", "half of them"), ("p99_ms", "99 %"), ("max_ms", "the slowest")):
        undisturbed = _detail(results.of(LATENCY, IDLE_GUEST), name)
        ours = _detail(results.of(LATENCY), name)
        if undisturbed is None or ours is None:
            continue
        text = f"within {ours:.2f} ms"
        yield Row(LATENCY, f"{IDLE_GUEST}: {title}", text, f"within {undisturbed:.2f} ms", "")
        for peer in results.variants(LATENCY, PEER):
            theirs = _detail(results.of(LATENCY, PEER, peer), name)
            figure = f"{ours / theirs:.2f} times its latency" if theirs else ""
            yield Row(
                LATENCY, f"{_label(peer, '')}: {title}", text, f"within {theirs:.2f} ms", figure
            )
    yield from _throughput(results)


def _throughput(results: Results) -> Iterator[Row]:
    name = "writes_per_second"
    ours = _detail(results.of(LATENCY), name)
    if ours is None:
        return
    others = [(IDLE_GUEST, IDLE_GUEST, "")]
    others += [(_label(peer, ""), PEER, peer) for peer in results.variants(LATENCY, PEER)]
    for label, contender, variant in others:
        theirs = _detail(results.of(LATENCY, contender, variant), name)
        texts = (f"{ours:.0f}/s", f"{theirs:.0f}/s")
        yield Row(LATENCY, f"{label}: writes done", *texts, "")


def _detail(samples: list[Sample], name: str) -> float | None:
    return median(sample.details[name] for sample in samples) if samples else None


def _parallel(results: Results) -> Iterator[Row]:
    samples = results.of(PARALLEL)
    if not samples:
        return
    seconds = median(sample.seconds for sample in samples)
    domains = samples[0].details["domains"]
    text = f"{seconds:.2f} s"
    # A run in which one backup fails, or restores another disk, has no result at all.
    yield Row(PARALLEL, f"{domains:.0f} domains", text, "", "no errors", "no errors", met=True)


def _label(peer: str, chunks: str) -> str:
    name = f"{PEER} ({peer})" if peer else PEER
    return f"{name}, ours with chunks of {chunks}" if chunks else name
