from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hypersdk.drivers.wrappers.audit import Audited, AuditOutcome, AuditRecord
from hypersdk.model.errors import InstanceNotFound, Interrupted
from hypersdk.model.specs import CloudInit, InstanceSpec
from hypersdk.observe.log import JsonFormatter
from tests.drivers.wrappers.failing import Clock, Failing, lab, parts

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("hypersdk.audit")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def audited(records: list[AuditRecord], clock: Clock | None = None) -> Audited:
    return Audited(records.append, user="alice", clock=clock or Clock(), now=lambda: NOW)


def test_a_change_is_one_record(tmp_path: Path, log: io.StringIO) -> None:
    records: list[AuditRecord] = []
    clock = Clock()

    def slowly(_call: object, go: object) -> object:
        clock.now += 2.5
        return go()  # type: ignore[operator]

    _, lifecycle = parts(lab(tmp_path, "web"), audited(records, clock), slowly)
    lifecycle.stop("web", force=True, timeout=5)
    assert records == [
        AuditRecord(
            time=NOW,
            user="alice",
            hypervisor=f"mock://{tmp_path}/lab",
            operation="lifecycle.stop",
            instance="web",
            outcome=AuditOutcome.SUCCEEDED,
            seconds=2.5,
            options={"force": True, "timeout": 5},
        )
    ]
    event = json.loads(log.getvalue())
    del event["timestamp"]
    assert event == {
        "level": "info",
        "logger": "hypersdk.audit",
        "event": "call",
        "time": "2026-11-21T02:00:00.000+00:00",
        "user": "alice",
        "hypervisor": f"mock://{tmp_path}/lab",
        "operation": "lifecycle.stop",
        "instance": "web",
        "outcome": "succeeded",
        "seconds": 2.5,
        "error": "",
        "options": {"force": True, "timeout": 5},
    }


def test_reading_is_none(tmp_path: Path) -> None:
    records: list[AuditRecord] = []
    inventory, _ = parts(lab(tmp_path, "web"), audited(records))
    inventory.instance("web")
    assert list(inventory.instances())
    assert records == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Interrupted("cancelled"), AuditOutcome.CANCELLED),
        (KeyboardInterrupt(), AuditOutcome.CANCELLED),
        (ValueError("secret words"), AuditOutcome.FAILED),
    ],
)
def test_failures_are_recorded_by_their_class(
    tmp_path: Path, error: Exception, outcome: AuditOutcome, log: io.StringIO
) -> None:
    records: list[AuditRecord] = []
    _, lifecycle = parts(lab(tmp_path, "web"), audited(records), Failing(error))
    with pytest.raises(type(error)):
        lifecycle.start("web")
    assert (records[0].outcome, records[0].error) == (outcome, type(error).__name__)
    assert "secret words" not in log.getvalue()


def test_a_mistake_of_the_caller_is_recorded_too(tmp_path: Path) -> None:
    records: list[AuditRecord] = []
    _, lifecycle = parts(lab(tmp_path), audited(records))
    with pytest.raises(InstanceNotFound):
        lifecycle.start("wep")
    assert (records[0].instance, records[0].error) == ("wep", "InstanceNotFound")


def test_no_secret_is_in_it(tmp_path: Path, log: io.StringIO) -> None:
    records: list[AuditRecord] = []
    spec = InstanceSpec(
        name="web",
        env={"DB": "hunter2"},
        cloud_init=CloudInit(user_data="password: hunter2"),
        command=("login", "hunter2"),
    )
    _, lifecycle = parts(lab(tmp_path), audited(records), lambda _call, _go: None)
    lifecycle.create(spec)
    lifecycle.create(spec=spec)
    assert [record.instance for record in records] == ["web", "web"]
    assert "hunter2" not in log.getvalue() + repr(records)


def test_a_sink_that_fails_does_not_hide_how_the_call_ended(
    tmp_path: Path, log: io.StringIO
) -> None:
    def full(_record: AuditRecord) -> None:
        raise OSError("disk full")

    inventory, lifecycle = parts(lab(tmp_path, "web"), Audited(full))
    lifecycle.start("web")
    assert inventory.instance("web").state.value == "running"
    assert "an audit record was not taken" in log.getvalue()


def test_the_user_is_this_process_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[AuditRecord] = []
    monkeypatch.setenv("LOGNAME", "bob")
    _, lifecycle = parts(lab(tmp_path, "web"), Audited(records.append))
    lifecycle.start("web")
    assert records[0].user == "bob"
    assert abs((records[0].time - datetime.now(UTC)).total_seconds()) < 60
