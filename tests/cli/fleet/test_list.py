from __future__ import annotations

import pytest

from hypersdk import InstanceSpec
from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import known
from tests.flows.fleet.labs import Labs


def test_all_instances_of_all_hypervisors(command: Runner, labs: Labs) -> None:
    labs.add("c", InstanceSpec(name="app", vcpus=2, folder="prod", tags={"site": "lab"}))
    labs.start("a", "web")
    result = command("fleet", "list", "-H", "a", "-H", labs.url("c"))
    c = labs.url("c")
    wide = len(c)
    assert result.err == ""
    assert result.out == (
        f"{'HYPERVISOR':<{wide}}  INSTANCE  STATE    VCPUS   MEMORY  OWNED  FOLDER  IMAGE  TAGS\n"
        f"{'a':<{wide}}  db        stopped      1  1.0 GiB  yes\n"
        f"{'a':<{wide}}  web       running      1  1.0 GiB  yes\n"
        f"{c}  app       stopped      2  1.0 GiB  yes    prod           site=lab\n"
    )


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["a/db", "a/web", "b/web", "c/old"]),
        (["--state", "running"], ["b/web"]),
        (["--state", "running", "--state", "paused"], ["b/web"]),
        (["--owned"], ["a/db", "a/web", "b/web"]),
        (["--others"], ["c/old"]),
        (["--search", "WE"], ["a/web", "b/web"]),
        (["--search", "d?"], ["a/db"]),
        (["--tag", "site"], []),
        (["--folder", "prod"], []),
    ],
)
def test_filters(
    command: Runner,
    labs: Labs,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    found: list[str],
) -> None:
    labs.add("c", foreign=["old"])
    labs.start("b", "web")
    known(monkeypatch, labs, "a", "b", "c")
    document = command("fleet", "list", *options, "--json").json
    assert [f"{each['hypervisor']}/{each['name']}" for each in document["instances"]] == found


def test_one_that_fails_does_not_hide_the_others(
    command: Runner, labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, labs, "gone", "b")
    result = command("fleet", "list", expect=3)
    assert result.out == (
        "HYPERVISOR  INSTANCE  STATE    VCPUS   MEMORY  OWNED  FOLDER  IMAGE  TAGS\n"
        "b           web       stopped      1  1.0 GiB  yes\n"
    )
    assert result.err.startswith(
        "hypersdk: 1 of 2 hypervisors failed\n  gone: there is no mock hypervisor in "
    )
    document = command("fleet", "list", "--json", expect=3).json
    assert len(document["instances"]) == 1
    assert document["error"]["failures"]["gone"]["kind"] == "HypervisorUnreachable"


def test_the_only_one_that_fails_is_the_failure(command: Runner, labs: Labs) -> None:
    result = command("fleet", "list", "-H", labs.url("gone"), expect=1)
    assert result.out == ""
    assert result.err.startswith("hypersdk: there is no mock hypervisor in ")


def test_nothing_found_and_nothing_known(
    command: Runner, labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = command("fleet", "list", "--search", "nothing")
    assert (result.out, result.err) == ("", "No instances.\n")
    monkeypatch.delenv("HYPERSDK_HYPERVISORS")
    assert "there is no hypervisor to work with" in command("fleet", "list", expect=2).err
    result = command("fleet", "list", "--state", "runing", expect=2)
    assert "Did you mean 'running'?" in result.err
    assert "'=x' is not a tag" in command("fleet", "list", "--tag", "=x", expect=2).err


def test_hypervisors_of_the_settings_file(
    command: Runner, labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HYPERSDK_HYPERVISORS")
    file = labs._folder / "config.toml"
    file.write_text(f'[hypervisors]\nlab = "{labs.url("a")}"\n')
    monkeypatch.setenv("HYPERSDK_CONFIG", str(file))
    assert "lab         web" in command("fleet", "list").out
    result = command("fleet", "list", "-H", "lbb", expect=2)
    assert result.err == (
        "hypersdk: no hypervisor is called 'lbb'\n"
        "  Did you mean lab? Known are lab. A URL will do as well.\n"
    )
