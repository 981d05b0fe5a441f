"""``python -m bench run`` and ``python -m bench report``."""

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
from bench.machine import available_memory, machine_facts
from bench.measure import ROOT, BenchError
from bench.peers import NAMES, peers
from bench.race import race
from bench.results import Results, collect_results, load, save

GIB = 1 << 30
MEASURES = (*RACES, "incremental", "memory", "gc")
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "docs" / "benchmarks.json"
#: The image, one repository of compressed data, and one disk restored without holes.
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
    work = (folder or _work_folder(quick)).absolute()
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
    if results or full:
        save(found, results or RESULTS)
    if full:
        PAGE.write_text(report.page(found))
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


def _work_folder(quick: bool) -> Path:
    """Memory-backed when there is room for it, so that programs are compared, not disks."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    needed = GIB if quick else SPACE_NEEDED
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
