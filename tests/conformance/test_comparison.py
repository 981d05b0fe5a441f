"""Two runs side by side."""

from __future__ import annotations

import pytest

from hypersdk.conformance.comparison import compare, regressions
from hypersdk.conformance.results import Verdict
from tests.conformance.strange import case, example, made_run, result, samples


def test_a_run_beside_itself() -> None:
    found = compare(example(), example())
    assert found.changes == ()
    assert not any(each.regression for each in found.timings)
    assert found.only_before == found.only_after == ()


def test_what_changed() -> None:
    before = made_run(
        result("mock", case("a.same"), case("a.breaks"), case("a.goes")), result("qmp")
    )
    after = made_run(
        result("mock", case("a.same"), case("a.breaks", Verdict.FAILED), case("a.comes")),
        result("docker"),
    )
    found = compare(before, after)
    assert [
        (each.case, each.before and each.before.verdict, each.after and each.after.verdict)
        for each in found.changes
    ] == [
        ("a.breaks", Verdict.PASSED, Verdict.FAILED),
        ("a.comes", None, Verdict.PASSED),
        ("a.goes", Verdict.PASSED, None),
    ]
    assert found.only_before == ("qmp",)
    assert found.only_after == ("docker",)


def test_regressions() -> None:
    before = made_run(result("mock", samples=(*samples("create", 0.1, 0.1), *samples("stop", 0.1))))
    now = made_run(result("mock", samples=(*samples("create", 0.2, 0.2), *samples("stop", 0.1))))
    (found,) = regressions(now, before)
    assert (found.hypervisor, found.operation) == ("mock", "create")
    assert found.share == pytest.approx(1.0)
    assert regressions(before, now) == ()
    assert regressions(now, before, threshold=1.5) == ()


def test_without_a_common_hypervisor_nothing_is_compared() -> None:
    before = made_run(result("docker", samples=samples("create", 0.1)))
    now = made_run(result("mock", samples=samples("create", 9.0)))
    assert regressions(now, before) == ()
