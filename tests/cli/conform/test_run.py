"""``hypersdk conform run``"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk import connect
from hypersdk.conformance.case import cases
from tests.cli.conftest import Runner


def test_the_mock_passes_and_reports_are_written(command: Runner, tmp_path: Path) -> None:
    report = tmp_path / "report"
    result = command("conform", "run", "--suite", "host", "--suite", "identity", "--report", report)
    assert "No --hypervisor was named" in result.err
    assert "0 failed" in result.out
    assert "all that ran passed" in result.out
    assert {path.name for path in report.iterdir()} == {
        "results.json", "junit.xml", "summary.txt", "report.html", "history.jsonl",
    }  # fmt: skip
    assert (report / "summary.txt").read_text() in result.out + "\n"


def test_json(command: Runner, tmp_path: Path) -> None:
    arguments = ("--json", "--suite", "host", "--report", tmp_path / "report")
    result = command("conform", "run", *arguments)
    (hypervisor,) = result.json["run"]["hypervisors"]
    assert hypervisor["driver"] == "mock"
    assert {case["verdict"] for case in hypervisor["cases"]} <= {"passed", "skipped"}
    stored = json.loads((tmp_path / "report" / "results.json").read_text())
    assert stored == result.json["run"]
    assert result.json["history"] == str(tmp_path / "report" / "history.jsonl")


def test_cases_by_pattern(command: Runner, tmp_path: Path) -> None:
    result = command("conform", "run", "--json", "--case", "lifecycle.start_*")
    (hypervisor,) = result.json["run"]["hypervisors"]
    ran = [case["case"] for case in hypervisor["cases"]]
    assert ran
    assert all(each.startswith("lifecycle.start_") for each in ran)


def test_the_list_runs_nothing(command: Runner) -> None:
    result = command("conform", "run", "--list", "--suite", "snapshots")
    lines = result.out.splitlines()
    assert lines[0].split() == ["CASE", "REQUIREMENT", "WHAT", "IT", "SAYS"]
    assert [line.split()[0] for line in lines[1:]] == [each.id for each in cases(("snapshots",))]
    assert result.err == ""


def test_the_list_as_json(command: Runner) -> None:
    result = command("conform", "run", "--list", "--json")
    assert len(result.json["cases"]) == len(cases())


def test_a_hypervisor_that_cannot_be_reached(command: Runner, tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    result = command("conform", "run", "-H", f"mock://{tmp_path}", expect=3)
    assert "cannot be reached" in result.err
    assert "nothing could run" in result.out
    document = command("conform", "run", "-H", f"mock://{tmp_path}", "--json", expect=3).json
    assert document["error"]["failures"]["mock"]["message"].startswith("cannot be reached")
    assert document["run"]["hypervisors"][0]["cases"] == []


def test_a_failing_hypervisor_ends_with_1(command: Runner, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[failures]]\noperation = "lifecycle.pause"\nkind = "before_effect"\n')
    folder = tmp_path / "lab"
    folder.mkdir()
    url = f"mock://{folder}?config={plan}"
    result = command("conform", "run", "-H", url, "--suite", "lifecycle", expect=1)
    assert "FAILED lifecycle." in result.out
    assert "FAILED lifecycle." in result.err, "it is told as it happens"
    assert "cases failed" in result.err


def test_the_time_limit(command: Runner, tmp_path: Path) -> None:
    """Of a hypervisor that hangs: its running case has failed, the others did not run."""
    plan = tmp_path / "plan.toml"
    plan.write_text('[[failures]]\noperation = "lifecycle.start"\nkind = "hang"\n')
    folder = tmp_path / "lab"
    folder.mkdir()
    url = f"mock://{folder}?config={plan}"
    arguments = ("-H", url, "--suite", "lifecycle", "--timeout", "5s", "--case-timeout", "60s")
    result = command("conform", "run", "--json", *arguments, expect=1)
    (hypervisor,) = result.json["run"]["hypervisors"]
    assert "time limit" in hypervisor["problem"]
    assert "did not run" in hypervisor["problem"]
    assert hypervisor["cases"][-1]["verdict"] == "failed"
    assert list(instances(url)) == [], "the case that was ended has cleaned up"


def instances(url: str) -> Iterator[str]:
    """Names of the instances behind ``url``."""
    hypervisor = connect(url)
    assert hypervisor.inventory is not None
    yield from (each.name for each in hypervisor.inventory.instances())
    hypervisor.close()


def test_the_benchmark_and_its_baseline(command: Runner, tmp_path: Path) -> None:
    first = tmp_path / "first"
    arguments = ("--bench-only", "--samples", "3", "--quiet")
    command("conform", "run", *arguments, "--report", first)
    results = first / "results.json"
    document = json.loads(results.read_text())
    assert {s["operation"] for s in document["hypervisors"][0]["samples"]} >= {"create", "list"}

    for sample in document["hypervisors"][0]["samples"]:
        sample["seconds"] *= 1000
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps(document))
    command("conform", "run", *arguments, "--baseline", slow, "--fail-on-regression")

    # Now pretend that everything was quick; the mock's starting is delayed.
    plan = tmp_path / "plan.toml"
    plan.write_text('[latency]\n"lifecycle.start" = 0.5\n')
    folder = tmp_path / "lab"
    folder.mkdir()
    url = f"mock://{folder}?config={plan}"
    told = command("conform", "run", "-H", url, *arguments, "--baseline", first)
    assert "SLOWER mock start" in told.out
    gate = ("--baseline", first, "--fail-on-regression", "--json")
    result = command("conform", "run", "-H", url, *arguments, *gate, expect=1)
    assert "start" in {each["operation"] for each in result.json["regressions"]}


def test_the_history_grows(command: Runner, tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    for _ in range(2):
        command("conform", "run", "--suite", "host", "--quiet", "--history", history)
    assert len(history.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--suite", "lifecylce"), "Did you mean lifecycle?"),
        (("--case", "lifecycle.strat*"), "no case fits"),
        (("-H", "dokcer:///x"), "Did you mean docker?"),
        (("-H", "somewhere"), "not a hypervisor URL"),
        (("--timeout", "soon"), "not a duration"),
        (("--site", "/nonexistent.yaml"), "cannot read"),
        (("--baseline", "/nonexistent.json"), "cannot read"),
        (("--fail-on-regression",), "--baseline"),
    ],
)
def test_wrong_usage_begins_nothing(command: Runner, arguments: tuple[str, ...], says: str) -> None:
    result = command("conform", "run", *arguments, expect=2)
    assert says in result.err
    assert result.out == ""


def test_a_name_of_the_settings(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERSDK_HYPERVISORS", json.dumps({"lab": f"mock://{tmp_path}"}))
    result = command("conform", "run", "-H", "lab", "--suite", "host", "--json")
    assert result.json["run"]["hypervisors"][0]["url"] == f"mock://{tmp_path}"


def test_quiet_says_nothing_on_stderr(command: Runner) -> None:
    result = command("conform", "run", "--suite", "host", "--quiet")
    assert result.err == ""
