from __future__ import annotations

import pytest

from hypersdk.model.errors import HypervisorError, InvalidInput, NotAllowed
from tests.app.kinds.lab import Lab


def test_cases_run_and_are_counted(lab: Lab) -> None:
    report = lab.root / "report"
    done = lab.run(
        "conformance", hypervisor="lab", select=["core", "idempotency.stop_of*"],
        report=str(report), site={"acceleration": "tcg"}, extra={"a": "b"}, case_timeout=30.0,
    )  # fmt: skip
    assert done["passed"] > 0
    assert done["failed"] == 0
    assert done["problem"] == ""
    assert set(map(str, report.iterdir())) >= set(done["reports"])
    assert lab.last.seen[-1].done == lab.last.seen[-1].total == done["passed"] + done["skipped"]
    assert [each.name for each in lab.mock().inventory.instances()] == ["web"]


def test_cases_that_fail_fail_the_job(lab: Lab) -> None:
    (lab.root / "lab/mock.toml").write_text('without = ["inventory"]\n')
    request = {"hypervisor": "lab", "select": ["core.has_the_parts*"], "timeout": 60.0}
    with pytest.raises(HypervisorError, match=r"failed on lab; the first: "):
        lab.run("conformance", **request)
    done = lab.run("conformance", **request, report_only=True)
    assert done["failed"] or done["problem"]


def test_refused(lab: Lab) -> None:
    plan = lab.kinds(lab.root)["conformance"].plan
    with pytest.raises(InvalidInput, match="no case fits 'snapshoots"):
        plan({"hypervisor": "lab", "select": ["snapshoots.*"]})
    with pytest.raises(InvalidInput, match=r"no field request.site.kernle") as caught:
        plan({"hypervisor": "lab", "site": {"kernle": "/x"}})
    assert caught.value.hint == "Did you mean kernel?"
    with pytest.raises(NotAllowed, match=r"request.site.kernel"):
        plan({"hypervisor": "lab", "site": {"kernel": "/etc/kernel"}})
