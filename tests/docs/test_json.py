"""docs/json.md and docs/schemas. Outputs are compared wherever a test uses ``--json``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from hypersdk.cli.hyperexport.options.modes import Mode
from hypersdk.cli.vmsnap.options import Action
from tests.docs.schemas import FOLDER, check
from tests.docs.tree import commands

TEXT = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
NAMES = {"-".join(path) for path, _ in commands()}
#: vmsnap is one command with a document for each thing that it does.
VMSNAP = {f"vmsnap-{action.value}" for action in Action}

#: So is hyperexport; scripts for shells and the screen are no documents.
HYPEREXPORT = {
    f"hyperexport-{mode.value}".removesuffix("-")
    for mode in set(Mode) - {Mode.COMPLETION, Mode.SCREEN}
} | {f"hyperexport-{name}" for name in ("incremental", "save-profile", "import", "verify")}


def test_every_command_has_a_schema_and_a_line_in_the_table() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == (
        NAMES | VMSNAP | HYPEREXPORT | {"common"}
    )
    rows = re.findall(r"^\| `(.+)` \| \[(.+)\]\(schemas/(.+)\) \|$", TEXT, re.MULTILINE)
    names = {re.sub(" (--)?", "-", command): (a, b) for command, a, b in rows}
    assert names.keys() == NAMES | VMSNAP | HYPEREXPORT
    assert all(f"{name}.json" == a == b for name, (a, b) in names.items())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_schemas_are_schemas(path: Path) -> None:
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == path.name


def test_the_example_of_an_error_is_one() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    check(["restore", "--json"], 1, json.loads(example))


def test_a_wrong_document_is_noticed() -> None:
    with pytest.raises(ValidationError):
        check(["repo", "stats"], 0, {"repository": "x"})
    with pytest.raises(AssertionError):
        check(["repo", "stats"], 1, {"repository": "x"})
