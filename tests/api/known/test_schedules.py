from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from hypersdk.model.schedules import Weekday
from tests.api.known.daemons import Known

#: Of a schedule that is shown and never ran.
SHOWN = {
    "id", "name", "description", "schedule", "job_template", "enabled", "created_at",
    "updated_at", "next_run", "run_count", "advanced_config",
}  # fmt: skip


@pytest.fixture
def nightly(known: Known) -> Iterator[str]:
    id = f"nightly-{uuid4().hex[:6]}"
    known.post("/schedules", _wanted(id), status=201)
    yield id
    known.client.delete(f"/schedules/{id}")


def _wanted(id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "name": f"name of {id}",
        "schedule": "0 2 * * *",
        "job_template": {"vm_path": "web", "output_path": f"out-{id}", "format": "ova"},
        **fields,
    }


def test_a_schedule_is_made_and_shown(known: Known) -> None:
    id = f"full-{uuid4().hex[:6]}"
    other = f"first-{uuid4().hex[:6]}"
    known.post("/schedules", _wanted(other), status=201)
    advanced = {
        "depends_on": [{"job_id": other, "required_state": "any"}],
        "retry_policy": {
            "max_attempts": 3, "initial_delay": 5, "max_delay": 60,
            "backoff_strategy": "fibonacci", "retry_on_errors": ["StoreUnavailable"],
        },
        "time_windows": [
            {
                "start_time": "22:00", "end_time": "06:00", "days": ["Mon", "Tue"],
                "timezone": "Europe/Berlin",
            }
        ],
        "priority": 80,
        "max_concurrent": 1,
    }  # fmt: skip
    body = _wanted(id, schedule="30 23 * * *", tags=["gold", "tier=1"], advanced_config=advanced)
    made = known.post("/schedules", body, status=201)
    assert set(made) == {"message", "schedule"}
    assert set(made["schedule"]) == SHOWN | {"tags"}
    assert known.get(f"/schedules/{id}") == made["schedule"]
    shown = made["schedule"]
    assert shown["id"] == id
    assert shown["enabled"] is True
    assert shown["next_run"] is not None
    assert shown["job_template"]["vm_path"] == "web"
    assert shown["job_template"]["format"] == "ova"
    assert shown["tags"] == ["gold", "tier=1"]
    for name, value in advanced.items():
        if name == "depends_on":
            continue
        assert shown["advanced_config"][name] == value
    assert shown["advanced_config"]["depends_on"] == [
        {"job_id": other, "required_state": "any", "timeout": 0}
    ]
    stored = known.daemon.services.schedules.get(id)
    assert stored.skip_if_running
    assert stored.windows[0].days == {Weekday.MON, Weekday.TUE}
    assert stored.job.priority == 80
    assert stored.job.retry.attempts == 3
    for each in (id, other):
        known.daemon.services.schedules.delete(each)


def test_what_is_shown_can_be_sent_back(known: Known, nightly: str) -> None:
    shown = known.get(f"/schedules/{nightly}")
    template = {"vm_path": "web", "output_path": f"out-{nightly}", "format": "ova"}
    back = {**shown, "job_template": template, "schedule": "15 3 * * *"}
    answer = known.client.put(f"/schedules/{nightly}", json=back)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"message"}
    after = known.get(f"/schedules/{nightly}")
    assert after["schedule"] == "15 3 * * *"
    assert after["advanced_config"] == shown["advanced_config"]


def test_a_change_leaves_enabled_as_it_was(known: Known, nightly: str) -> None:
    assert set(known.post(f"/schedules/{nightly}/disable")) == {"message"}
    assert known.get(f"/schedules/{nightly}")["enabled"] is False
    assert known.get(f"/schedules/{nightly}")["next_run"] is None
    body = _wanted(nightly, description="now with words")
    assert known.client.put(f"/schedules/{nightly}", json=body).status_code == 200
    shown = known.get(f"/schedules/{nightly}")
    assert (shown["enabled"], shown["description"]) == (False, "now with words")
    assert set(known.post(f"/schedules/{nightly}/enable")) == {"message"}
    assert known.get(f"/schedules/{nightly}")["enabled"] is True


def test_a_trigger_makes_a_job(known: Known, nightly: str) -> None:
    answer = known.post(f"/schedules/{nightly}/trigger")
    assert set(answer) == {"message", "job_id"}
    job = known.daemon.services.jobs.get(answer["job_id"])
    assert job.kind == "export"
    assert job.request["instance"] == "web"
    assert job.schedule == nightly
    shown = known.get(f"/schedules/{nightly}")
    assert shown["run_count"] == 1
    assert set(shown) == SHOWN | {"last_run"}
    known.daemon.services.jobs.cancel(job.id)


def test_all_are_listed_and_counted(known: Known, nightly: str) -> None:
    found = known.get("/schedules")
    assert set(found) == {"schedules", "total", "timestamp"}
    assert nightly in [each["id"] for each in found["schedules"]]
    stats = known.get("/schedules/stats")
    assert set(stats) == {"total_schedules", "enabled_schedules", "total_runs", "next_running"}
    assert stats["total_schedules"] == found["total"]


def test_a_schedule_is_forgotten(known: Known, nightly: str) -> None:
    answer = known.client.delete(f"/schedules/{nightly}")
    assert answer.status_code == 200
    assert set(answer.json()) == {"message"}
    for method, path in (
        ("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/disable"),
        ("POST", "/trigger"),
    ):  # fmt: skip
        known.refused(method, f"/schedules/{nightly}{path}", status=404)
    known.refused("PUT", f"/schedules/{nightly}", _wanted(nightly), status=404)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"schedule": "every day"}, 400, "every day"),
        ({"job_template": {"vm_path": "web", "password": "x"}}, 400, "credentials"),
        ({"job_template": {"vmpath": "web"}}, 400, "vm"),
        ({"advanced_config": {"conditions": [{"type": "carbon"}]}}, 501, "conditions"),
        ({"advanced_config": {"notify_on_failure": True}}, 501, "notify_on_failure"),
        ({"advanced_config": {"max_concurrent": 4}}, 501, "max_concurrent"),
        ({"advanced_config": {"depends_on": [{"job_id": "nobody"}]}}, 400, "nobody"),
        ({"advanced_config": {"depends_on": [{"job_id": "x", "timeout": 9}]}}, 501, "timeout"),
        (
            {"advanced_config": {"time_windows": [{"start_time": "25:00", "end_time": "01:00"}]}},
            400,
            "start_time",
        ),
        ({"advanced_config": {"priority": 101}}, 400, "priority"),
        ({"cron": "0 2 * * *"}, 400, "cron"),
    ],
)
def test_what_cannot_be_is_refused(
    known: Known, fields: dict[str, Any], status: int, words: str
) -> None:
    body = _wanted(f"bad-{uuid4().hex[:6]}", **fields)
    assert words in known.refused("POST", "/schedules", body, status=status)["error"]


def test_two_of_one_name_are_refused(known: Known, nightly: str) -> None:
    known.refused("POST", "/schedules", _wanted(nightly), status=409)
