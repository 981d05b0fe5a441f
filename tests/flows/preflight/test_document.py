"""docs/preflight.md has every rule as it is, and its example works."""

from __future__ import annotations

import re
from pathlib import Path

from hypersdk.flows.preflight.rule import Rule
from hypersdk.flows.preflight.rules import OURS
from hypersdk.flows.preflight.subject import Errand, Subject
from tests.flows.preflight.examples import details

PAGE = (Path(__file__).parents[3] / "docs" / "preflight.md").read_text()


def test_the_tables_are_the_rules() -> None:
    rows = re.findall(r"^\| `([a-z.-]+)` \| (\w+) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(rule.id, rule.severity.value, rule.title, rule.fix) for rule in OURS]


def test_the_example_of_a_rule() -> None:
    (source,) = (
        block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "RULES" in block
    )
    names: dict[str, list[Rule]] = {}
    exec(source, names)
    (rule,) = names["RULES"]
    subject = Subject(errand=Errand.EXPORT, details=details())
    assert [each.message for each in rule.concerns(subject)] == ["web has no tag 'owner'"]
