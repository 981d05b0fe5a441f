from __future__ import annotations

import json
from pathlib import Path

from hypersdk import MockHypervisor
from tests.cli.conftest import Runner


def test_facts_and_disks(command: Runner, history: Path, image: Path) -> None:
    lines = command("repo", "show", history, "web").out.splitlines()
    facts = dict(line.split(":", 1) for line in lines[: lines.index("")])
    assert facts["instance"].strip() == "web"
    assert facts["source"].strip() == str(image)
    assert facts["consistency"].strip() == "offline"
    row = lines[lines.index("") + 2].split()
    assert row == "disk0 raw 16.0 MiB 1.0 MiB 3.0 MiB 1.0 MiB 1.0 MiB full".split()  # noqa: SIM905
    assert lines[-1] == "disk0: an image keeps no record of changes"


def test_by_the_beginning_of_an_id(command: Runner, history: Path) -> None:
    points = command("repo", "list", history, "--json").json["points"]
    shown = command("repo", "show", history, points[0]["id"].lower(), "--json").json
    assert shown == points[0]


def test_the_definition(command: Runner, place: Path, lab: MockHypervisor) -> None:
    command("backup", "--repo", place, "-H", lab.url, "web")
    definition = json.loads(command("repo", "show", place, "web", "--definition").out)
    assert definition["name"] == "web"
    document = command("repo", "show", place, "web", "--definition", "--json").json
    assert json.loads(document["definition"]) == definition
