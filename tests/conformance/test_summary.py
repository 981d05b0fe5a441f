"""What all reports count, and with which error a run ends."""

from __future__ import annotations

from hypersdk.conformance.results import Run, Verdict
from hypersdk.conformance.summary import across, failure, names, nothing_ran, total, verdict
from hypersdk.model.errors import PartialFailure
from tests.conformance.strange import case, example, made_run, result, samples


def exit_status(run: Run) -> int:
    error = failure(run)
    return error.exit_code if error is not None else 0


def test_counts() -> None:
    assert str(total(example())) == "4 passed, 1 failed, 1 skipped"


def test_names_are_drivers_unless_there_are_two_of_one() -> None:
    assert names(made_run(result("mock"), result("qmp"))) == ("mock", "qmp")
    assert names(made_run(result("mock"), result("mock"))) == ("mock:///lab", "mock:///lab")


def test_exit_statuses() -> None:
    passed, failed = case("a.b"), case("a.b", Verdict.FAILED)
    skipped = case("a.c", Verdict.SKIPPED)
    assert exit_status(made_run(result("mock", passed))) == 0
    assert exit_status(made_run(result("mock", passed, skipped))) == 0
    assert exit_status(made_run(result("mock", passed, failed))) == 1
    assert exit_status(made_run(result("mock", passed), result("qmp", problem="no"))) == 1
    assert exit_status(made_run(result("mock", skipped))) == 3
    assert exit_status(made_run(result("mock", problem="no"))) == 3
    assert exit_status(made_run()) == 3
    assert exit_status(made_run(result("mock", samples=samples("list", 0.1)))) == 0


def test_nothing_ran_names_each_hypervisor() -> None:
    error = failure(made_run(result("mock", problem="no"), result("qmp", problem="gone")))
    assert isinstance(error, PartialFailure)
    assert {name: each.message for name, each in error.failures.items()} == {
        "mock": "no",
        "qmp": "gone",
    }


def test_verdicts() -> None:
    skipped = case("a.c", Verdict.SKIPPED)
    assert verdict(example()) == "1 of 6 cases failed"
    assert verdict(made_run(result("mock", case("a.b"), skipped))) == "all that ran passed"
    assert nothing_ran(made_run(result("mock", skipped)))
    assert verdict(made_run(result("mock", skipped))) == "nothing could run"
    early = made_run(result("mock", case("a.b"), problem="killed"), result("qmp", case("a.b")))
    assert verdict(early) == "1 of 2 hypervisors could not be tested in full"


def test_the_same_case_everywhere() -> None:
    run = made_run(
        result("mock", case("a.b"), case("a.c")),
        result("qmp", case("a.b", Verdict.FAILED)),
        result("docker", problem="cannot be reached"),
    )
    first, second = across(run)
    assert first.case == "a.b"
    assert not first.alike
    assert list(first.results) == ["mock", "qmp"], "nothing ran on docker"
    assert second.results["qmp"] is None
    assert not second.alike
