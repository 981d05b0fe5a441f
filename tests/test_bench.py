"""The benchmark harness runs from end to end, small, with the peers that are installed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.bars import judge
from bench.contender import OURS, Sample
from bench.kvm.contenders import COMPRESSED, FULL, IDLE, PEER, RESTORE
from bench.measure import ROOT
from bench.report import page
from bench.results import Results, load
from tests.components import require, require_root

#: Without restic: deriving its key takes as long as all the rest.
PEERS = "borg,qemu-img,nbdcopy"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("bench")
    call = [sys.executable, "-m", "bench", "run", "--quick", "--rounds", "1", "--peers", PEERS]
    places = ["--dir", str(folder / "work"), "--results", str(folder / "results.json")]
    subprocess.run([*call, *places], cwd=ROOT, check=True, capture_output=True)
    return load(folder / "results.json")


def test_every_measure_has_a_figure_of_ours(results: Results) -> None:
    measured = {sample.measure for sample in results.samples if sample.contender == OURS}
    assert measured >= {"first", "unchanged", "restore", "second", "incremental", "memory", "gc"}


def test_the_page_shows_every_comparison_and_call(results: Results) -> None:
    text = page(results)
    for row in judge(results):
        assert row.against in text
        assert row.figure in text
    for call in results.calls.values():
        assert call in text


def test_a_missed_bar_is_said_first() -> None:
    samples = (
        _sample(OURS, "", 10.0),
        _sample("borg", "", 50.0),
        _sample("borg", "--sparse", 20.0),
    )
    rows = judge(_results(samples))
    assert [(row.against, row.met) for row in rows if row.against.startswith("borg")] == [
        ("borg", True),
        ("borg (--sparse)", False),
    ]
    assert (
        "borg (--sparse): 2.00 times as fast, bar ≥ 3.5 times"
        in page(_results(samples)).split("##")[0]
    )


def test_the_median_counts() -> None:
    samples = tuple(_sample(OURS, "", seconds) for seconds in (9.0, 1.0, 2.0))
    assert _results(samples).seconds("first") == 2.0


def test_another_run_replaces_its_own_measures_only() -> None:
    earlier = replace(_results((_sample(OURS, "", 1.0),)), calls={f"{OURS}, first": "a"})
    later = replace(
        _results((replace(_sample(OURS, "", 2.0), measure=IDLE),)),
        runs={"scripts/bench kvm": "2026-11-22T00:00:00+00:00"},
        calls={f"{OURS}, {IDLE}": "b"},
        allocated=0,
    )
    both = later.beside(earlier)
    assert (both.seconds("first"), both.seconds(IDLE)) == (1.0, 2.0)
    assert (both.allocated, len(both.runs), len(both.calls)) == (1 << 30, 2, 2)
    again = _results((_sample(OURS, "", 3.0),)).beside(both)
    assert (again.seconds("first"), again.seconds(IDLE)) == (3.0, 2.0)
    assert again.calls == {f"{OURS}, {IDLE}": "b"}


def test_bars_of_a_running_guest() -> None:
    times = {(OURS, ""): 2.0, (PEER, COMPRESSED): 6.0, (PEER, ""): 2.0}
    samples = tuple(
        replace(_sample(*who, seconds), measure=measure, details={"added": 1.0})
        for measure in (FULL, IDLE, RESTORE)
        for who, seconds in times.items()
    )
    met = {
        (row.measure, row.against): row.met
        for row in judge(_results(samples))
        if row.measure != "memory"
    }
    assert met == {
        (FULL, "virtnbdbackup (-z)"): True,
        (FULL, "virtnbdbackup"): False,
        (RESTORE, "virtnbdbackup (-z)"): True,
        (RESTORE, "virtnbdbackup"): False,
        (IDLE, "time"): False,
        (IDLE, "virtnbdbackup (-z)"): True,
        (IDLE, "virtnbdbackup"): True,
    }


def test_a_running_guest_is_measured(tmp_path: Path) -> None:
    require_root()
    require("libvirtd", "virtlogd", "qemu-system-x86_64", "unshare", "mkfs.ext4")
    found = tmp_path / "results.json"
    measures = ",".join((IDLE, RESTORE))
    call = [sys.executable, "-m", "bench", "kvm", "--quick", "--rounds", "1", "--only", measures]
    subprocess.run([*call, "--results", str(found)], cwd=ROOT, check=True, capture_output=True)
    measured = {sample.measure for sample in load(found).samples if sample.contender == OURS}
    assert measured == {FULL, IDLE, RESTORE}
    assert "incremental backup of a guest that wrote nothing" in page(load(found))


def _sample(contender: str, variant: str, seconds: float) -> Sample:
    return Sample(contender, variant, "first", 0, seconds, seconds, 1 << 20, 0.0)


def _results(samples: tuple[Sample, ...]) -> Results:
    runs = {"scripts/bench": "2026-11-21T00:00:00+00:00"}
    return Results(runs, {}, 1 << 30, {}, (), samples)
