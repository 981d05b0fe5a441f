from __future__ import annotations

from hypersdk.config.daemon import compare, load_daemon_settings, merge
from hypersdk.config.daemon.changes import LIVE, live
from hypersdk.config.daemon.environment import fields
from hypersdk.config.daemon.loading import written


def test_what_can_change_and_what_waits_for_a_restart_are_told_apart() -> None:
    old = load_daemon_settings()
    new = load_daemon_settings(
        listen="localhost:1",
        log_level="debug",
        hypervisors={"lab": "mock:///x"},
        limits={"rate_per_token": 5, "body": 1},
    )
    changes = compare(old, new)
    assert changes.applied == ("hypervisors.lab", "limits.rate_per_token", "log_level")
    assert changes.restart == ("limits.body", "listen")
    assert compare(new, new).applied == ()


def test_merging_takes_only_what_can_change() -> None:
    old = load_daemon_settings()
    new = load_daemon_settings(
        listen="localhost:1", log_level="debug", limits={"rate_per_token": 5, "body": 1}
    )
    merged = merge(old, new)
    assert merged.listen == old.listen
    assert merged.log_level == "debug"
    assert merged.limits.rate_per_token == 5
    assert merged.limits.body == old.limits.body
    assert compare(merged, new).applied == ()


def test_every_live_setting_is_one() -> None:
    names = {written(steps) for steps, _ in fields()}
    for name in LIVE:
        assert name in names or any(each.startswith(f"{name}.") for each in names), name
    assert live("retention.jobs_days")
    assert not live("tls.certificate")
