"""Runs are kept line by line, and the trend says what changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hypersdk.conformance.history import append, entry, read, trend
from hypersdk.conformance.results import Run, Verdict
from hypersdk.model.errors import InvalidInput
from tests.conformance.strange import case, example, made_run, result, samples


def run(number: int, *failing: str, median: float = 0.1, problem: str = "") -> Run:
    cases = [case(id, Verdict.FAILED if id in failing else Verdict.PASSED) for id in ("a.b", "a.c")]
    found = result("mock", *cases, samples=samples("create", median), problem=problem)
    return replace(made_run(found), id=f"RUN{number}")


def test_what_was_added_is_read(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for each in (example(), run(1)):
        append(path, entry(each))
    first, second = read(path)
    assert first == entry(example())
    assert second == entry(run(1))
    assert first.hypervisors[1].failing == ("lifecycle.starts",)
    assert first.hypervisors[0].medians == {"create": 0.07, "list": 0.001}
    assert first.version == "0.1.0"


def test_the_trend() -> None:
    runs = [run(1, "a.b"), run(2, "a.c", median=0.2), run(3)]
    steps = trend([entry(each) for each in runs])["mock"]
    assert [step.broken for step in steps] == [("a.b",), ("a.c",), ()]
    assert [step.mended for step in steps] == [(), ("a.b",), ("a.c",)]
    assert [dict(step.ratios) for step in steps] == [{}, {"create": 2.0}, {"create": 0.5}]


def test_a_run_that_ended_early_mends_nothing() -> None:
    runs = [run(1, "a.b"), replace(run(2, problem="killed"))]
    steps = trend([entry(each) for each in runs])["mock"]
    assert steps[1].mended == ()


def test_hypervisors_have_trends_of_their_own() -> None:
    both = [entry(example()), entry(run(2))]
    assert {name: len(steps) for name, steps in trend(both).items()} == {"mock": 2, "docker": 1}


def test_many_runs_may_add_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(path, entry(run(number))), range(40)))
    assert sorted(each.id for each in read(path)) == sorted(f"RUN{n}" for n in range(40))


def test_a_line_that_was_cut_off_is_ignored_and_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append(path, entry(run(1)))
    with path.open("ab") as file:
        file.write(b'{"id": "RUN2", "beg')
    append(path, entry(run(3)))
    assert [each.id for each in read(path)] == ["RUN1", "RUN3"]


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": "A"}'])
def test_other_lines_are_an_error_that_names_them(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    append(path, entry(run(1)))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidInput, match="line 2"):
        read(path)


def test_a_missing_history(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read(tmp_path / "history.jsonl")
