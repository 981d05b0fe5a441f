"""Exports of a vSphere machine that are killed (SIGKILL) at any moment, and gone on with."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hypersdk import connect
from hypersdk.datapath.memory import MemorySink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.streamvmdk import StreamVmdkSource
from tests.cli.hyperexport.conftest import Export
from tests.cli.hyperexport.processes import running, said, wait_for
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import PASSWORD, VsphereLab

__all__ = ["vsphere_lab"]

MIB = 1 << 20
#: Bytes of the disks. They come at the same rate, so they are complete one after another.
SIZES = (4 * MIB, 12 * MIB, 24 * MIB)
#: Bytes per second of a stream: an export takes some four seconds.
RATE = 6 * MIB
#: More often than anybody tries.
EVER = 99
SNAPSHOT = ("--snapshot", "--no-snapshot-quiesce")


@pytest.fixture
def machine(vsphere_lab: VsphereLab) -> Iterator[str]:
    """A stopped machine with three disks of noise, which takes as long as it is large."""
    name = f"killed-{uuid4().hex[:8]}"
    vsphere_lab.add_vm(name=name, disks=[{"size": size, "thin": True} for size in SIZES])
    for number, size in enumerate(SIZES):
        noise = {"offset": 0, "length": size, "seed": f"noise {number}"}
        vsphere_lab.write(name, number, [noise])
    yield name
    vsphere_lab.throttle(0)
    vsphere_lab.clear_faults()
    vsphere_lab.remove_vm(name)


@pytest.fixture
def vsphere(vsphere_lab: VsphereLab, monkeypatch: pytest.MonkeyPatch) -> Export:
    monkeypatch.setenv("GOVC_PASSWORD", PASSWORD)
    return Export(vsphere_lab.url)


def visible(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if not name.startswith(".")]


def finished(folder: Path, machine: str) -> set[str]:
    """Disks that a killed export has complete."""
    note = folder / f".{machine}.checkpoint.json"
    return set(json.loads(note.read_text())["disks"]) if note.exists() else set()


def power(vsphere: Export, name: str, *, on: bool) -> None:
    hypervisor = connect(vsphere.url)
    assert hypervisor.lifecycle is not None
    assert hypervisor.leftovers is not None
    hypervisor.leftovers.reap()  # the lease of a killed export locks the machine for a while
    if on:
        hypervisor.lifecycle.start(name)
    else:
        hypervisor.lifecycle.stop(name, force=True)
    hypervisor.close()


def exported(folder: Path, document: dict[str, Any]) -> list[bytes]:
    """The disks of an OVF, unpacked."""
    found = []
    for disk in document["disks"]:
        with (folder / disk["file"]).open("rb") as file, StreamVmdkSource(file) as source:
            sink = MemorySink(source.size)
            copy(source, sink)
            assert source.finished
        found.append(sink.content)
    return found


def killed_when(
    lab: VsphereLab, vsphere: Export, machine: str, work: Path, count: int, *options: str
) -> None:
    """An export that is killed when so many of its disks are complete."""
    lab.throttle(RATE)
    with running(machine, "-H", vsphere.url, "--output", "here", *options) as child:
        wait_for(lambda: len(finished(work / "here", machine)) >= count, child)
    lab.throttle(0)


def assert_clean(lab: VsphereLab, machine: str) -> None:
    state = lab.state()
    for kind in ("leases", "snapshots"):
        assert [each for each in state[kind] if each["vm"] == machine] == []


@pytest.mark.parametrize("options", [(), SNAPSHOT], ids=["stopped", "snapshot"])
def test_at_random_moments_it_goes_on(
    vsphere: Export, vsphere_lab: VsphereLab, machine: str, work: Path, options: tuple[str, ...]
) -> None:
    seed = int(os.environ.get("HYPERSDK_TEST_SEED", "") or random.randrange(1 << 32))
    print(f"HYPERSDK_TEST_SEED={seed}")
    dice = random.Random(seed)
    if options:
        power(vsphere, machine, on=True)
    line = (machine, "-H", vsphere.url, "--output", "here", "--resume", *options)
    here = work / "here"
    vsphere_lab.throttle(RATE)
    complete: set[str] = set()
    for _ in range(4):
        with running(*line) as child:
            time.sleep(dice.uniform(0.5, 4.5))
            assert child.poll() is None, said(child)
        if not here.exists():
            continue  # killed before it began
        assert complete <= finished(here, machine)
        complete = finished(here, machine)
        assert visible(here) == []
    vsphere_lab.throttle(0)
    done = finished(here, machine)
    for number in range(len(SIZES)):  # what is complete would break if it were fetched again
        if f"scsi0-{number}" in done:
            vsphere_lab.fault("http_error", vm=machine, disk=number, status=500, times=EVER)
    (document,) = vsphere(*line, "--verify", "--json").json["exports"]
    taken = {disk["name"] for disk in document["disks"] if disk["taken_over"]}
    assert taken == done
    contents = [vsphere_lab.content(machine, number) for number in range(len(SIZES))]
    assert exported(here, document) == contents
    assert not [name for name in os.listdir(here) if name.startswith(".")]
    assert_clean(vsphere_lab, machine)


def test_what_is_complete_is_not_fetched_again_and_the_rest_begins_anew(
    vsphere: Export, vsphere_lab: VsphereLab, machine: str, work: Path
) -> None:
    killed_when(vsphere_lab, vsphere, machine, work, 2, "--format", "raw")
    done = finished(work / "here", machine)
    assert done == {"scsi0-0", "scsi0-1"}
    for number in (0, 1):
        vsphere_lab.fault("http_error", vm=machine, disk=number, status=500, times=EVER)
    line = (machine, "--output", "here", "--format", "raw", "--resume", "--json")
    (document,) = vsphere(*line).json["exports"]
    assert [disk["read"] for disk in document["disks"]] == [0, 0, SIZES[2]]
    for number, disk in enumerate(document["disks"]):
        content = (work / "here" / disk["file"]).read_bytes()
        assert content == vsphere_lab.content(machine, number)
    (said,) = [each for each in document["warnings"] if "scsi0-2" in each]
    assert "begins anew" in said


def test_a_machine_that_ran_meanwhile_is_fetched_again(
    vsphere: Export, vsphere_lab: VsphereLab, machine: str, work: Path
) -> None:
    killed_when(vsphere_lab, vsphere, machine, work, 1)
    power(vsphere, machine, on=True)
    vsphere_lab.write(machine, 0, [{"offset": 0, "length": 4096, "seed": "new"}])
    power(vsphere, machine, on=False)
    (document,) = vsphere(machine, "--output", "here", "--resume", "--json").json["exports"]
    assert not any(disk["taken_over"] for disk in document["disks"])
    assert any("scsi0-0 is read again" in each for each in document["warnings"])
    contents = [vsphere_lab.content(machine, number) for number in range(len(SIZES))]
    assert exported(work / "here", document) == contents


def test_a_running_machine_without_a_snapshot_has_no_moment_to_go_on_with(
    vsphere: Export, vsphere_lab: VsphereLab, machine: str, work: Path
) -> None:
    power(vsphere, machine, on=True)
    killed_when(vsphere_lab, vsphere, machine, work, 1)
    (document,) = vsphere(machine, "--output", "here", "--resume", "--json").json["exports"]
    assert not any(disk["taken_over"] for disk in document["disks"])
    assert any("is read again" in each for each in document["warnings"])
    assert_clean(vsphere_lab, machine)


def test_by_ranges_the_record_of_changes_tells(
    vsphere: Export, vsphere_lab: VsphereLab, work: Path
) -> None:
    name = f"ranged-{uuid4().hex[:8]}"
    disks = [{"size": size, "thin": True} for size in SIZES]
    vsphere_lab.add_vm(name=name, disks=disks, cbt=True)
    url = f"{vsphere_lab.url}&reader=range"
    try:
        for number, size in enumerate(SIZES):
            noise = {"offset": 0, "length": size, "seed": f"noise {number}"}
            vsphere_lab.write(name, number, [noise])
        ranged = Export(url)
        killed_when(vsphere_lab, ranged, name, work, 1)
        done = finished(work / "here", name)
        (document,) = ranged(name, "--output", "here", "--resume", "--json").json["exports"]
        assert {disk["name"] for disk in document["disks"] if disk["taken_over"]} == done
        contents = [vsphere_lab.content(name, number) for number in range(len(SIZES))]
        assert exported(work / "here", document) == contents
        assert_clean(vsphere_lab, name)
    finally:
        vsphere_lab.throttle(0)
        vsphere_lab.remove_vm(name)
