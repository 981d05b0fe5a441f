"""docs/jobs.md: its examples are requests that kinds take, its tables have all fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypersdk.contract.kinds import SCHEMAS, RetentionRecord
from tests.app.kinds.lab import Lab

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def examples() -> Iterator[dict[str, Any]]:
    for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        yield json.loads(text)


def rows(section: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    made.make()
    yield made
    made.connections.close()


def test_every_kind_has_a_section_with_all_its_fields() -> None:
    assert set(SCHEMAS) <= set(SECTIONS)
    for kind, (request, _) in SCHEMAS.items():
        section, _, rules = SECTIONS[kind].partition("### retention")
        assert rows(section) == list(request.model_fields), kind
        assert not rules or rows(rules) == list(RetentionRecord.model_fields)


def test_every_kind_has_an_example_that_it_takes(lab: Lab) -> None:
    kinds = lab.kinds()
    for example in examples():
        assert set(example) == {"kind", "request"}
        assert kinds[example["kind"]].plan(example["request"]).name
    assert {example["kind"] for example in examples()} == set(SCHEMAS)


def test_examples_without_paths_do_what_they_say(lab: Lab) -> None:
    """In the order of the page, so that there is something to restore and to prune."""
    slow = {"conformance"}
    for example in examples():
        request = json.dumps(example["request"]).replace("/srv", str(lab.root / "srv"))
        if example["kind"] not in slow and "source" not in example["request"]:
            assert lab.run(example["kind"], **json.loads(request))


def test_events_that_are_told_are_on_the_page(lab: Lab) -> None:
    for operation in ("start", "pause", "resume", "reset", "restart", "stop"):
        lab.run("lifecycle", hypervisor="lab", instance="web", operation=operation)
    lab.run("snapshot", hypervisor="lab", instance="web")
    lab.run("backup", hypervisor="lab", instance="web", repository="main")
    for name, *_ in lab.events:
        assert f"`{name}`" in PAGE
