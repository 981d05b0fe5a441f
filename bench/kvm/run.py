"""One run of the measures on a running guest, from an empty folder to the results."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench.contender import Contender, Sample
from bench.image import filesystem_of
from bench.kvm import measures as measuring
from bench.kvm.contenders import CHUNK_SIZES, LATENCY, PARALLEL, TURN, contenders, installed
from bench.kvm.guest import make_origin
from bench.kvm.measures import Lab, Scale
from bench.machine import host_facts, image_facts
from bench.measure import ROOT, BenchError, Command, first_line, run
from bench.race import Teller
from bench.results import Results, results_of
from tests.kvm.daemon import Libvirtd

_LIBVIRTD = ("libvirtd", "virtlogd", "qemu-system-x86_64", "unshare")


def run_kvm(
    work: Path,
    store: Path,
    scale: Scale,
    chosen: Sequence[str],
    rounds: int,
    command: str,
    tell: Teller,
) -> Results:
    """The chosen of `MEASURES`. ``work``: for all that is measured; ``store``: for the origin.

    Raises BenchError.
    """
    _check()
    # QEMU, which is not root, must reach the disk and make sockets.
    work.chmod(0o711)
    guest, scratch = work / "g", work / "s"
    for folder in (guest, scratch):
        folder.mkdir()
        folder.chmod(0o777)
    tell(f"building the disk in {store} …")
    origin = make_origin(store, scale.recipe, scale.writes)
    run(Command((str(ROOT / "scripts/lab"),)), work / "log")
    with Libvirtd() as daemon, closing(daemon.open()) as connection:
        lab = Lab(daemon, connection, origin, scale, guest, scratch, tell)
        everyone = contenders(work, scratch, daemon.url)
        samples = list(_samples(lab, installed(everyone), chosen, rounds, daemon.url, work))
        facts = {
            **host_facts(),
            "KVM: filesystem of disks and backups": filesystem_of(work),
            "KVM: disk": f"qcow2, {image_facts(origin.image)}",
            "KVM: guest": "1 processor, emulated (TCG), 128 MiB, system in memory",
            "libvirt": _libvirt_version(connection.getLibVersion()),
            "QEMU": first_line(("qemu-system-x86_64", "--version")),
            **{each.name: each.version for each in installed(everyone)},
        }
        calls = {work: "$WORK", daemon.folder: "$LIBVIRT"}
    return results_of(command, facts, everyone, calls, samples)


def _samples(
    lab: Lab,
    everyone: list[Contender],
    chosen: Sequence[str],
    rounds: int,
    url: str,
    work: Path,
) -> Iterator[Sample]:
    in_turns = [measure for measure in chosen if measure in TURN]
    if in_turns:
        yield from measuring.turns(lab, everyone, in_turns, rounds)
    if LATENCY in chosen:
        # Other chunk sizes disturb a guest no other way.
        usual = [each for each in everyone if each.variant not in CHUNK_SIZES]
        yield from measuring.latencies(lab, usual, rounds)
    if PARALLEL in chosen:
        yield from measuring.parallel(lab, url, work, rounds)


def _check() -> None:
    if os.geteuid() != 0:
        raise BenchError("backups of running guests are measured as root")
    missing = [program for program in _LIBVIRTD if shutil.which(program) is None]
    if missing:
        raise BenchError(f"{', '.join(missing)} is missing: run scripts/setup --bench")


def _libvirt_version(number: int) -> str:
    """libvirt's own encoding: a million times the major number, a thousand times the minor."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
