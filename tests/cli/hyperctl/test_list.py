"""``hyperctl list``, ``vm`` and ``grep``: instances."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.hyperctl.conftest import Control


def test_all_instances(work: Control) -> None:
    result = work("list")
    head, *rows = result.out.splitlines()
    titles = ["Name", "Hypervisor", "State", "vCPUs", "Memory", "Disks", "Folder"]
    assert re.split("  +", head) == titles
    assert {"big", "db", "web"} <= {row.split()[0] for row in rows}
    (web,) = (row for row in rows if row.startswith("web "))
    assert re.split("  +", web) == ["web", "lab", "stopped", "1", "1.0 GiB", "4.0 MiB"]


def test_some_instances(work: Control) -> None:
    found = work("list", "-filter", "we", "-H", "lab", "-state", "stopped", "-json").json
    assert [each["name"] for each in found["instances"]] == ["web"]
    assert work("list", "-filter", "w*", "-refresh").out.count("\n") == 2
    assert work("list", "-filter", "nothing").err == "There are no instances.\n"
    assert "Did you mean lab?" in work("list", "-H", "lob", expect=1).err


def test_a_hypervisor_that_cannot_be_asked(control: Control, tmp_path: Path) -> None:
    control("hypervisor", "add", "away", f"docker://{tmp_path}/no.sock")
    try:
        result = control("list", expect=3)
        assert "\nweb   lab " in result.out
        assert result.err.startswith("hyperctl: 1 of 2 hypervisors could not be asked\n  away: ")
    finally:
        control("hypervisor", "delete", "away")


def test_one_instance(work: Control) -> None:
    text = work("vm", "web").out
    assert re.search(r"(?m)^name: +web$", text)
    assert re.search(r"(?m)^memory: +1\.0 GiB$", text)
    assert re.search(r"(?m)^disks:\n  name=vda, size=4\.0 MiB, ", text)
    assert work("vm", "-path", "/DC/vm/web", "-op", "info").out == text
    assert work("vm", "web", "-json").json["state"] == "stopped"


def test_steps_with_one(work: Control) -> None:
    for op, state in [
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("reset", "running"),
        ("restart", "running"),
        ("shutdown", "stopped"),
        ("start", "running"),
        ("poweroff", "stopped"),
    ]:
        assert work("vm", "db", "-op", op).out == f"lab/db {state}\n"
    assert (
        "'stop' is not one of 'info', 'shutdown'" in work("vm", "db", "-op", "stop", expect=2).err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["wbe"], "no instance is called 'wbe'\n  Did you mean web?\n"),
        (["zzz"], "no instance is called 'zzz'\n  List them with: hyperctl list\n"),
    ],
)
def test_no_such_instance(work: Control, words: list[str], said: str) -> None:
    assert work("vm", *words, expect=1).err == f"hyperctl: {said}"


def test_two_of_one_name(control: Control) -> None:
    url = f"mock://{control('hypervisor', 'show', 'lab', '-json').json['url'][7:]}"
    control("hypervisor", "add", "twin", url)
    try:
        result = control("vm", "web", expect=1)
        assert "2 instances are called 'web': lab, twin\n  Say which: -H HYPERVISOR" in result.err
        assert control("vm", "web", "-H", "twin").out.startswith("hypervisor: twin\n")
    finally:
        control("hypervisor", "delete", "twin")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["b", "-l"], "big\ndb\nweb\n"),
        (["b", "-l", "-f", "name"], "big\ndb\nweb\n"),
        (["WEB", "-i"], "lab/web stopped\n"),
        (["-E", "^(big|db)$", "-f", "name", "-c"], "2\n"),
        (["-v", "-E", "^lab/(b|d)", "-l"], "web\n"),
        (["stopped", "-f", "power", "-c"], "3\n"),
    ],
)
def test_grep(work: Control, words: list[str], said: str) -> None:
    assert work("grep", *words).out == said


def test_grep_finds_none(work: Control) -> None:
    assert work("grep", "zzz", expect=1).out == ""
    assert work("grep", "zzz", "-json", expect=1).json == {"instances": []}
    assert "is no regular expression" in work("grep", "-E", "(", expect=2).err
