"""What was written is read back as it was, and anything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hypersdk.conformance.reports.document import plain, read_run, record, run_document, write_run
from hypersdk.conformance.results import CaseResult, Run
from hypersdk.model.errors import InvalidInput
from tests.conformance.strange import case, example, made_run
from tests.docs.schemas import validator


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_run(example(), path)
    assert read_run(path) == example()


def test_results_are_as_their_schema_says() -> None:
    document = json.loads(json.dumps(run_document(example())))
    schema = validator("conform-run.json")
    schema.evolve(schema={"$ref": "conform-run.json#/$defs/run"}).validate(document)


def test_the_schema_notices_a_member_that_is_missing() -> None:
    document = json.loads(json.dumps(run_document(example())))
    del document["hypervisors"][0]["cases"][0]["reason"]
    schema = validator("conform-run.json")
    assert not schema.evolve(schema={"$ref": "conform-run.json#/$defs/run"}).is_valid(document)


def test_members_of_later_versions_are_ignored() -> None:
    raw = plain(case("a.b")) | {"colour": "red"}
    assert record(CaseResult, raw) == case("a.b")


@pytest.mark.parametrize(
    "change",
    [{"seconds": "long"}, {"verdict": "fine"}, {"leaks": "a"}, {"began": "yesterday"}, {"case": 1}],
)
def test_a_wrong_member_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        record(CaseResult, plain(case("a.b")) | change)


def test_a_missing_member_is_refused() -> None:
    raw = plain(case("a.b"))
    del raw["reason"]
    with pytest.raises(InvalidInput, match="reason"):
        record(CaseResult, raw)


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "not JSON"), ("[]", "no results"), ('{"a": 1}', "no results"), ('{"format": 9}', "9")],
)
def test_files_that_are_something_else(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=says):
        read_run(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read_run(tmp_path / "none.json")


def test_a_damaged_run_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    document = run_document(made_run())
    del document["id"]
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidInput, match=r"results\.json is damaged"):
        read_run(path)


def test_a_host_that_is_not_known_stays_unknown() -> None:
    run = example()
    nobody = replace(run.hypervisors[0], host=None)
    changed = replace(run, hypervisors=(nobody,))
    assert record(Run, plain(changed)) == changed
