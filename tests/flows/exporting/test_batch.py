from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.batch import export_batch
from hypersdk.flows.exporting.options import BatchLimits, ExportOptions
from hypersdk.flows.exporting.results import BatchItem, BatchState
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.progress import Progress
from tests.flows.exporting.examples import MIB, fill


def lab(tmp_path: Path, count: int) -> MockHypervisor:
    mock = MockHypervisor(tmp_path / "lab")
    for number in range(count):
        mock.create_instance(f"web{number}", {"vda": 4 * MIB})
        fill(mock, f"web{number}", {"vda": b"data" * (MIB // 2)})
    return mock


def test_each_gets_a_folder_and_failures_do_not_stop_the_others(tmp_path: Path) -> None:
    mock = lab(tmp_path, 3)
    seen: list[BatchItem] = []
    names = ["web0", "nobody", "web2", "web1"]
    report = export_batch(mock, names, tmp_path / "out", settled=seen.append)
    assert [item.name for item in report.items] == names
    assert [item.state for item in report.items] == [
        BatchState.EXPORTED,
        BatchState.FAILED,
        BatchState.EXPORTED,
        BatchState.EXPORTED,
    ]
    assert isinstance(report.items[1].error, InstanceNotFound)
    assert [item.name for item in report.failed] == ["nobody"]
    assert {item.name for item in seen} == set(names)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["web0", "web1", "web2"]


def test_two_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    mock = lab(tmp_path, 1)
    report = export_batch(mock, ["web0", "web0"], tmp_path / "out")
    assert [item.folder.name for item in report.items] == ["web0", "web0-2"]
    assert all(item.state is BatchState.EXPORTED for item in report.items)


def test_no_more_of_one_host_than_allowed(tmp_path: Path) -> None:
    mock = lab(tmp_path, 6)
    running: Counter[str] = Counter()
    most = 0
    lock = threading.Lock()

    def report(progress: Progress) -> None:
        nonlocal most
        if "/" not in progress.task:
            return
        with lock:
            running[progress.task] = 0 if progress.finished else 1
            most = max(most, sum(running.values()))

    export_batch(
        mock,
        [f"web{number}" for number in range(6)],
        tmp_path / "out",
        options=ExportOptions(parallel=1),
        limits=BatchLimits(total=6, per_host=2),
        reporter=report,
    )
    assert most <= 2


def test_what_was_not_begun_when_it_was_cancelled_is_skipped(tmp_path: Path) -> None:
    mock = lab(tmp_path, 3)
    cancel = CancelToken()
    report = export_batch(
        mock,
        ["web0", "web1", "web2"],
        tmp_path / "out",
        limits=BatchLimits(total=1),
        cancel=cancel,
        settled=lambda _: cancel.cancel(),
    )
    assert [item.state for item in report.items] == [
        BatchState.EXPORTED,
        BatchState.SKIPPED,
        BatchState.SKIPPED,
    ]
