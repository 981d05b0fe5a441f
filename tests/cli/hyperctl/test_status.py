"""``hyperctl status``"""

from __future__ import annotations

import re

from tests.cli.hyperctl.conftest import Control


def test_status(control: Control) -> None:
    result = control("status")
    assert re.fullmatch(
        rf"hypervisord \d\S+ at {re.escape(control.url)}\n"
        r"Status: running for \d.*\n"
        r"Jobs: \d+\n"
        r"  scheduled: \d+\n  pending: \d+\n  running: \d+\n  paused: \d+\n"
        r"  completed: \d+\n  failed: \d+\n  cancelled: \d+\n",
        result.out,
    )
    assert result.err == ""


def test_as_json(control: Control) -> None:
    document = control("status", "-json").json
    assert document["user"] == "local"
    assert set(document["jobs"]) >= {"running", "pending"}
