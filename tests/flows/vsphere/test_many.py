"""Twenty machines are exported at once, and no host or datastore serves more than it was allowed
to: as the vCenter sees it, by its leases that are open at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import hypersdk
from hypersdk.flows.exporting.batch import export_batch
from hypersdk.flows.exporting.options import BatchLimits, ExportOptions
from hypersdk.flows.exporting.results import BatchState
from tests.vsphere.lab import PASSWORD, VsphereLab

MIB = 1 << 20
HOSTS, DATASTORES = 3, 2
PER_HOST, PER_DATASTORE = 3, 4
NAMES = [f"many-{number:02}" for number in range(20)]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VsphereLab]:
    """A vCenter of its own: what it counts is only ours. Its streams are slow, so that exports
    would pile up without limits."""
    monkeypatch.setenv("GOVC_PASSWORD", PASSWORD)
    with VsphereLab.start(tmp_path / "lab", hosts=HOSTS) as lab:
        for number, name in enumerate(NAMES):
            lab.add_vm(
                name=name,
                host=f"DC0_C0_H{number % HOSTS}",
                datastore=f"LocalDS_{number // HOSTS % DATASTORES}",
                disks=[{"size": 2 * MIB}],
                running=number % 5 == 0,  # those are read from a snapshot
            )
            lab.write(name, 0, [{"offset": MIB // 2, "length": MIB, "seed": name}])
        lab.throttle(4 * MIB)
        yield lab


def test_twenty_at_once_respect_hosts_and_datastores(lab: VsphereLab, tmp_path: Path) -> None:
    with closing(hypersdk.connect(lab.url)) as vcenter:
        report = export_batch(
            vcenter,
            NAMES,
            tmp_path / "out",
            options=ExportOptions(format="raw"),
            limits=BatchLimits(total=len(NAMES), per_host=PER_HOST, per_datastore=PER_DATASTORE),
        )
    assert [item.state for item in report.items] == [BatchState.EXPORTED] * len(NAMES)
    seen = lab.state()["lease_counts"]
    assert seen["open"] == 0
    assert len(seen["most_per_host"]) == HOSTS
    assert max(seen["most_per_host"].values()) <= PER_HOST
    assert len(seen["most_per_datastore"]) == DATASTORES
    # It is what the datastores may give that holds the exports back: two times four of twenty.
    assert max(seen["most_per_datastore"].values()) == PER_DATASTORE
    assert PER_DATASTORE < seen["most"] <= DATASTORES * PER_DATASTORE
    for item in report.items:
        assert item.exported is not None
        file = item.folder / item.exported.disks[0].file
        assert file.read_bytes() == lab.content(item.name, 0)
    assert len(os.listdir(tmp_path / "out")) == len(NAMES)
