"""``hyperctl hypervisor``"""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.hyperctl.conftest import Control


def test_the_life_of_one(control: Control, tmp_path: Path) -> None:
    url = f"mock://{tmp_path}/site"
    words = ["hypervisor", "add", "site", url, "-queue", "berlin", "-jobs", 2, "-tag", "room=a"]
    made = control(*words).out
    assert re.search(rf"(?m)^url: +{re.escape(url)}$", made)
    assert re.search(r"(?m)^budget: +jobs=2$", made)
    assert re.search(r"(?m)^tags: +room=a$", made)
    assert re.search(rf"(?m)^site  {re.escape(url)} +berlin", control("hypervisor", "list").out)
    assert control("hypervisor", "show", "site").out == made
    again = control(*words, expect=1)
    assert again.err.startswith("hyperctl: there is a hypervisor 'site' already")
    assert control("hypervisor", "delete", "site").out == "site deleted\n"
    assert control("hypervisor", "delete", "site", expect=1).out == ""


def test_health(control: Control) -> None:
    text = control("hypervisor", "health", "lab").out
    assert re.search(r"(?m)^reachable: +yes$", text)
    assert "\ncapabilities:\n  part=host, grade=full\n" in text
    url = control("hypervisor", "show", "lab", "-json").json["url"]
    of_url = control("hypervisor", "health", url, "-json").json
    assert of_url["reachable"] is True


def test_tags_are_written_with_an_equals_sign(control: Control) -> None:
    result = control("hypervisor", "add", "x", "mock:///x", "-tag", "room", expect=2)
    assert result.err.startswith("hyperctl: --tag is written NAME=VALUE, not 'room'\n")


def test_no_password_in_a_url(control: Control) -> None:
    result = control("hypervisor", "add", "x", "vsphere://ann:hunter2@vc/DC", expect=1)
    assert "password" in result.err
    assert "hunter2" not in result.err
