from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import known, out
from tests.flows.fleet.labs import RUNNING, STOPPED, Labs


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "app.yaml"
    path.write_text("name: app\nvcpus: 2\nmemory: 2GiB\ndisks: [{size: 10MiB}]\n")
    return path


def test_where_it_fits(command: Runner, labs: Labs, spec: Path) -> None:
    assert out(command("fleet", "create", "--spec", spec, "--policy", "fewest")) == (
        "Made 'app' on b: stopped, id ID.\n"
    )
    assert labs.states("b") == {"app": STOPPED, "web": STOPPED}
    result = command(
        "fleet", "create", "--spec", spec, "--set", "name=other", "--start", "-H", "a", "--json"
    )
    instance = result.json["instance"]
    assert (instance["name"], instance["state"], instance["vcpus"]) == ("other", "running", 2)
    assert labs.states("a")["other"] is RUNNING


def test_the_decision_with_its_reasons(
    command: Runner, labs: Labs, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, memory in (("big", "8GiB"), ("fair", "4GiB"), ("small", "1GiB")):
        limits = f'[limits]\nmemory = "{memory}"\ntotal_disk = "1GiB"\n'
        labs.add(name, "other", config=limits)
    known(monkeypatch, labs, "small", "fair", "gone", "big")
    dry = ("fleet", "create", "--spec", spec, "--dry-run")
    result = command(*dry)
    assert result.err == ""
    assert result.out == (
        "HYPERVISOR  DECISION  INSTANCES  MEMORY LEFT  STORAGE LEFT  WHY NOT\n"
        "big         chosen            1      8.0 GiB       1.0 GiB\n"
        "fair        possible          1      4.0 GiB       1.0 GiB\n"
        "small       rejected          1      1.0 GiB       1.0 GiB  "
        "gives an instance at most 1.0 GiB of memory; has 1.0 GiB of memory left\n"
        "gone        rejected                                        "
        f"there is no mock hypervisor in {labs._folder}/gone\n"
        "Would make 'app' on big.\n"
    )
    document = command(*dry, "--policy", "ordered", "--json").json
    assert document["chosen"] == "fair"
    assert document["needs"] == ["lifecycle", "lifecycle.disks"]
    assert [each["accepted"] for each in document["candidates"]] == [True, True, False, False]
    assert list(labs.states("big")) == ["other"]


def test_when_none_can(
    command: Runner, labs: Labs, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "cd":
        labs.add(name, config='without = ["snapshots"]')
    known(monkeypatch, labs, "c", "d")
    require = ("fleet", "create", "--spec", spec, "--require", "snapshots.memory")
    result = command(*require, expect=1)
    assert (result.out, result.err) == (
        "",
        ("hypersdk: no hypervisor can take 'app'\n  c: has no snapshots; d: has no snapshots\n"),
    )
    document = command(*require, "--dry-run", "--json", expect=1).json
    assert document["chosen"] is None
    assert document["error"]["kind"] == "NotSupported"


def test_fallback(command: Runner, labs: Labs, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = '[[failures]]\noperation = "lifecycle.create"\nkind = "lost_reply"\n'
    labs.add("c", config=rule)
    known(monkeypatch, labs, "c", "b")
    create = ("fleet", "create", "--spec", spec, "--policy", "ordered")
    result = command(*create)
    assert out(result) == "Made 'app' on b: stopped, id ID.\n"
    assert result.err.splitlines()[-1].startswith("c failed: lifecycle.create of 'app' failed")
    assert labs.states("c") == {}
    document = command(*create, "--set", "name=x", "--json").json
    assert document["failed"][0]["hypervisor"] == "c"
    assert document["failed"][0]["left"] == ""
    assert command(*create, "--set", "name=y", "--no-fallback", expect=1).out == ""
    assert "y" not in labs.states("b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "hypersdk: nothing says what the instance shall be\n"),
        (["--set", "vcpus"], "'vcpus' changes nothing. Write it like --set vcpus=4"),
        (["--set", "name=x", "--set", "vcpsu=3"], "hypersdk: unknown field vcpsu\n  Did you mean"),
        (["--set", "vcpus=3"], "hypersdk: name: is missing\n"),
        (["--set", "name=x", "--set", "vcpus=0"], "'x' needs at least one processor"),
        (["--spec", "none.yaml"], "hypersdk: cannot read none.yaml: No such file or directory\n"),
        (["--set", "name=x", "--require", "snapshotz"], "'snapshotz' is no part or aspect"),
        (["--set", "name=x", "--policy", "most"], "is not one of most-room, fewest, ordered"),
    ],
)
def test_mistakes(command: Runner, labs: Labs, arguments: list[str], message: str) -> None:
    result = command("fleet", "create", *arguments, expect=2)
    assert result.out == ""
    assert message in result.err
