"""The history survives crashes and many writers, records failures, and holds no secret."""

from __future__ import annotations

import json
import logging
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.artifacts.history import ExportHistory, ExportRecord, read_original_history
from hypersdk.model.errors import InvalidInput

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)


def record(number: int = 0, **changes: object) -> ExportRecord:
    fields: dict[str, object] = {
        "timestamp": NOON + timedelta(minutes=number),
        "vm_name": f"web-{number}",
        "vm_path": "prod/web",
        "provider": "vsphere",
        "format": "ovf",
        "output_dir": "/exports",
        "total_size": 1000,
        "duration": 2.5,
        "files_count": 3,
        **changes,
    }
    return ExportRecord(**fields)  # type: ignore[arg-type]


@pytest.fixture
def history(tmp_path: Path) -> ExportHistory:
    return ExportHistory(tmp_path / "state" / "exports.jsonl")


def test_what_is_added_is_there(history: ExportHistory) -> None:
    assert history.records() == ()
    records = tuple(record(number, metadata={"job": str(number)}) for number in range(5))
    for each in records:
        history.append(each)
    assert history.records() == records
    assert history.records(last=2) == records[3:]
    assert history.records(last=0) == ()
    assert history.path.stat().st_mode & 0o777 == 0o600
    assert history.path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(history.path.read_text().splitlines()[0])["duration"] == 2.5


def test_clearing(history: ExportHistory) -> None:
    assert history.clear() == 0
    history.append(record())
    assert history.clear() == 1
    assert history.records() == ()


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_line_is_passed_over_and_ended(
    history: ExportHistory, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    history.append(record(1))
    history.append(record(2))
    content = history.path.read_bytes()
    history.path.write_bytes(content[:-cut] if cut > 1 else content[:-1])
    survivors = history.records()
    assert survivors == (record(1), record(2))[: 2 if cut == 1 else 1]
    history.append(record(3))
    assert history.records() == (*survivors, record(3))
    assert ("is no record" in caplog.text) == (cut > 1)


@settings(max_examples=50)
@given(content=st.binary(max_size=200))
def test_any_content_is_survived(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any-history" / "exports.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    history = ExportHistory(path)
    history.append(record(1))
    assert history.records()[-1] == record(1)


def test_only_the_last_ones_stay(tmp_path: Path) -> None:
    history = ExportHistory(tmp_path / "exports.jsonl", keep=10)
    for number in range(230):
        history.append(record(number))
    assert [each.vm_name for each in history.records()] == [f"web-{n}" for n in range(220, 230)]
    assert len(history.path.read_text().splitlines()) <= 10 + 200


def _write(path: Path, writer: int) -> None:
    for number in range(25):
        ExportHistory(path, keep=50).append(record(number, vm_name=f"{writer}-{number}"))


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "exports.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, writer)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    found = [each.vm_name for each in ExportHistory(path).records()]
    assert sorted(found) == sorted(f"{w}-{n}" for w in range(4) for n in range(25))


def test_secrets_are_not_kept(history: ExportHistory) -> None:
    secret = "hunter2"
    history.append(
        record(
            success=False,
            error_message=f"cannot log in at https://bob:{secret}@vc/sdk, password={secret}",
            metadata={"url": f"vsphere://bob:{secret}@vc/DC0"},
        )
    )
    assert secret not in history.path.read_text()
    assert "cannot log in" in history.records()[0].error_message


def test_statistics_know_failures(history: ExportHistory) -> None:
    history.append(record(1, duration=2.0))
    history.append(record(2, duration=4.0, format="ova"))
    history.append(record(3, success=False, total_size=7, error_message="no space left"))
    history.append(record(0, provider="libvirt"))
    found = history.statistics(last=3)
    assert (found.total, found.succeeded, found.failed) == (4, 3, 1)
    assert found.success_percent == 75
    assert found.total_size == 3000
    assert found.mean_duration == pytest.approx(8.5 / 3)
    assert found.by_format == {"ovf": 2, "ova": 1}
    assert found.by_provider == {"vsphere": 2, "libvirt": 1}
    assert [each.vm_name for each in found.last] == ["web-3", "web-2", "web-1"]


def test_no_exports_have_statistics_too(history: ExportHistory) -> None:
    found = history.statistics()
    assert (found.total, found.success_percent, found.mean_duration) == (0, 0, 0)


def test_the_history_of_the_original_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.json"
    assert read_original_history(path) == ()
    entry = {
        "timestamp": "2026-02-03T12:00:00.123456789+01:00",
        "vm_name": "web",
        "vm_path": "/DC0/vm/web",
        "provider": "vsphere",
        "format": "ova",
        "output_dir": "./export-web",
        "total_size": 5000,
        "duration": 90_000_000_000,
        "files_count": 4,
        "success": True,
        "compressed": True,
        "verified": False,
        "metadata": {"a": 1},
        "something": "new",
    }
    path.write_text(json.dumps([entry, {"vm_name": "x"}, 7, {**entry, "metadata": None}]))
    with caplog.at_level(logging.WARNING):
        found = read_original_history(path)
    assert len(found) == 2
    assert "entry 2 of" in caplog.text
    assert "entry 3 of" in caplog.text
    assert found[0].duration == 90
    assert found[0].timestamp == datetime(2026, 2, 3, 11, 0, 0, 123456, UTC)
    assert found[0].metadata == {"a": "1"}


@pytest.mark.parametrize("text", ["", "{}", "7", pytest.param("[" * 100_000, id="deep")])
def test_what_is_no_history_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(InvalidInput):
        read_original_history(tmp_path / "history.json")
