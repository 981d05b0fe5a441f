"""``python -m bench run``, ``kvm``, ``drivers``, ``vsphere`` and ``report``."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from bench import image as images
from bench import ours, report
from bench.contender import LEAST, LIMIT, OURS, RACES, Sample
from bench.drivers.run import SECONDS, run_drivers
from bench.drivers.sites import SITES
from bench.kvm.contenders import MEASURES as KVM_MEASURES
from bench.machine import available_memory, machine_facts
from bench.measure import ROOT, BenchError
from bench.peers import NAMES, peers
from bench.race import race
from bench.results import Results, collect_results, load, save
from bench.vsphere import measures as vsphere_measures
from bench.vsphere.run import run_vsphere

GIB = 1 << 30
MEASURES = (*RACES, "incremental", "memory", "gc")
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "docs" / "benchmarks.json"
#: The image, one repository of compressed data, and one disk restored without holes; or a guest's
#: disk, a backup of it without compression, and one restored.
SPACE_NEEDED = 16 * GIB


@click.group()
def main() -> None:
    """Measure HyperSDK beside its peers."""


@main.command()
@click.option("--only", default=",".join(MEASURES), help="Measures, separated by commas.")
@click.option("--quick", is_flag=True, help="A small image and small counts: does it work at all?")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Work folder, kept.")
@click.option("--peers", "rivals", default=",".join(NAMES), help="Peers, separated by commas.")
@click.option("--results", type=click.Path(path_type=Path), help="Where to write the samples.")
def run(
    only: str,
    quick: bool,
    rounds: int,
    folder: Path | None,
    rivals: str,
    results: Path | None,
) -> None:
    """Run the measures, print the table; a full run also rewrites docs/benchmarks.md."""
    console = Console(stderr=True, highlight=False)
    measures, names = _chosen(only, MEASURES), _chosen(rivals, NAMES)
    work = (folder or _work_folder(GIB if quick else SPACE_NEEDED)).absolute()
    work.mkdir(parents=True, exist_ok=True)
    command = " ".join(["scripts/bench", *sys.argv[2:]])
    try:
        found = _measure(work, measures, names, rounds, quick, command, console)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    finally:
        if folder is None:
            shutil.rmtree(work)
    report.show(found, Console())
    full = not quick and (measures, names) == (MEASURES, NAMES) and rounds >= 3
    _keep(found, results, full, console)


@main.command()
@click.option("--only", default=",".join(KVM_MEASURES), help="Measures, by commas.")
@click.option("--quick", is_flag=True, help="A small disk and few writes: does it work at all?")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--results", type=click.Path(path_type=Path), help="Where to write the samples.")
def kvm(only: str, quick: bool, rounds: int, results: Path | None) -> None:
    """Back up a running guest; a full run also adds to docs/benchmarks.md. Needs root."""
    # The rest needs no libvirt.
    from bench.kvm.measures import FULL_SCALE, QUICK_SCALE  # noqa: PLC0415
    from bench.kvm.run import run_kvm  # noqa: PLC0415

    console = Console(stderr=True, highlight=False)
    measures = _chosen(only, KVM_MEASURES)
    work = _work_folder(GIB if quick else SPACE_NEEDED)
    # The disk that all guests are copied from would take memory for nothing.
    store = Path("/var/tmp") / f"{work.name}-origin"  # noqa: S108 - a folder of our own
    try:
        for folder in (work, store):
            folder.mkdir()
        found = run_kvm(
            work,
            store,
            QUICK_SCALE if quick else FULL_SCALE,
            measures,
            rounds,
            " ".join(["scripts/bench", *sys.argv[1:]]),
            console.print,
        )
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    finally:
        for folder in (work, store):
            shutil.rmtree(folder, ignore_errors=True)
    report.show(found, Console())
    _keep(found, results, not quick and measures == KVM_MEASURES and rounds >= 3, console)


@main.command()
@click.option("--only", default=",".join(SITES), help="Hypervisors, by commas.")
@click.option("--quick", is_flag=True, help="Few calls: does it work at all?")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(min=3))
@click.option("--results", type=click.Path(path_type=Path), help="Where to write the samples.")
def drivers(only: str, quick: bool, rounds: int, results: Path | None) -> None:
    """List and look through our drivers and through their libraries; a full run also adds to
    docs/benchmarks.md. Needs root."""
    console = Console(stderr=True, highlight=False)
    chosen = _chosen(only, tuple(SITES))
    command = " ".join(["scripts/bench", *sys.argv[1:]])
    try:
        found = run_drivers(chosen, rounds, 0 if quick else SECONDS, command, console.print)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    report.show(found, Console())
    _keep(found, results, not quick and chosen == tuple(SITES) and not found.absent, console)


@main.command()
@click.option("--only", default=",".join(vsphere_measures.MEASURES), help="Measures, by commas.")
@click.option("--quick", is_flag=True, help="Small disks and few machines: does it work at all?")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--results", type=click.Path(path_type=Path), help="Where to write the samples.")
def vsphere(only: str, quick: bool, rounds: int, results: Path | None) -> None:
    """Export, back up and list from a lab; a full run also adds to docs/benchmarks.md."""
    console = Console(stderr=True, highlight=False)
    measures = _chosen(only, vsphere_measures.MEASURES)
    work = _work_folder(GIB if quick else SPACE_NEEDED)
    scale = vsphere_measures.QUICK if quick else vsphere_measures.FULL
    command = " ".join(["scripts/bench", *sys.argv[1:]])
    try:
        found = run_vsphere(work, scale, measures, rounds, command, console.print)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.show(found, Console())
    publish = not quick and measures == vsphere_measures.MEASURES and rounds >= 3
    _keep(found, results, publish, console)


def _keep(found: Results, results: Path | None, publish: bool, console: Console) -> None:
    """Write the samples where they are wanted; a complete run goes beside what is published."""
    if results:
        save(found, results)
    if publish:
        whole = found.beside(load(RESULTS)) if RESULTS.exists() else found
        save(whole, RESULTS)
        PAGE.write_text(report.page(whole))
        console.print(f"wrote {PAGE.relative_to(ROOT)}")


@main.command("report")
@click.argument("results", type=click.Path(path_type=Path, exists=True), default=RESULTS)
@click.option("--page", "target", type=click.Path(path_type=Path), default=PAGE)
def report_again(results: Path, target: Path) -> None:
    """Write docs/benchmarks.md again from the samples of an earlier run."""
    found = load(results)
    report.show(found, Console())
    target.write_text(report.page(found))


def _chosen(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names in ``text``, in the order of ``known``; an empty text chooses none."""
    chosen = set(filter(None, text.split(",")))
    if unknown := sorted(chosen.difference(known)):
        raise click.BadParameter(f"{', '.join(unknown)}; known: {', '.join(known)}")
    return tuple(name for name in known if name in chosen)


def _work_folder(needed: int) -> Path:
    """Memory-backed when there is room for it, so that programs are compared, not disks."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    roomy = (
        shared.is_dir() and shutil.disk_usage(shared).free > needed and available_memory() > needed
    )
    return (shared if roomy else Path("/var/tmp")) / f"hypersdk-bench-{os.getpid()}"  # noqa: S108


def _measure(
    work: Path,
    measures: tuple[str, ...],
    names: tuple[str, ...],
    rounds: int,
    quick: bool,
    command: str,
    console: Console,
) -> Results:
    console.print(f"building the image in {work} …")
    image = images.build(work, images.QUICK if quick else images.FULL)
    rivals = [peer for peer in peers(work, image) if peer.name in (LIMIT, LEAST, *names)]
    contenders = [ours.hypersdk(work / OURS, image), *rivals]
    scale = ours.QUICK if quick else ours.FULL

    def samples() -> Iterator[Sample]:
        races = [measure for measure in measures if measure in RACES]
        if races:
            yield from race(contenders, image, races, rounds, console.print)
        if {"incremental", "memory"} & set(measures):
            yield from ours.large_disks(work / "large", scale, rounds, console.print)
        if "gc" in measures:
            yield from ours.garbage(work / "gc", scale, rounds, console.print)

    return collect_results(
        command, image, machine_facts(image, contenders), contenders, list(samples())
    )


if __name__ == "__main__":
    main(prog_name="bench")
