from __future__ import annotations

import pytest

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import known, out
from tests.flows.fleet.labs import PAUSED, RUNNING, STOPPED, Labs


def test_by_name_by_pattern_and_all(command: Runner, labs: Labs) -> None:
    result = command("fleet", "start", "db", "b/web")
    assert out(result) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "a           db        succeeded      0.0\n"
        "b           web       succeeded      0.0\n"
        "Started 2 instances.\n"
    )
    assert result.err == ""
    assert out(command("fleet", "start", "*")) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "a           db        unchanged      0.0\n"
        "a           web       succeeded      0.0\n"
        "b           web       unchanged      0.0\n"
        "Started 1 instance, 2 unchanged.\n"
    )
    assert labs.states("a") == {"db": RUNNING, "web": RUNNING}
    assert "Started 0 instances, 3 unchanged." in command("fleet", "start", "--all").out


def test_paused(command: Runner, labs: Labs) -> None:
    command("fleet", "start", "--paused", "db")
    assert labs.states("a")["db"] is PAUSED


def test_an_ambiguous_name(command: Runner, labs: Labs) -> None:
    result = command("fleet", "start", "web", expect=1)
    assert (result.out, result.err) == (
        "",
        (
            "hypersdk: 'web' is the name of several instances: a/web, b/web\n"
            "  Write one of these instead, or say that all are meant (--everywhere).\n"
        ),
    )
    assert "Started 2 instances." in command("fleet", "start", "web", "--everywhere").out


def test_nothing_chosen(command: Runner, labs: Labs) -> None:
    assert "no instance was chosen" in command("fleet", "start", expect=2).err
    assert "--all goes with no names" in command("fleet", "start", "--all", "db", expect=2).err
    result = command("fleet", "start", "--search", "nothing")
    assert (result.out, result.err) == ("", "No instance matches.\n")


def test_some_that_fail(command: Runner, labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = '[[failures]]\noperation = "lifecycle.start"\nnth = 1\nerror = "LimitExceeded"\n'
    labs.add("c", "1", "2", config=rule + 'message = "no memory left"\n')
    known(monkeypatch, labs, "c")
    result = command("fleet", "start", "--all", "--parallel-each", "1", expect=3)
    assert out(result) == (
        "HYPERVISOR  INSTANCE  RESULT     SECONDS\n"
        "c           1         failed         0.0\n"
        "c           2         succeeded      0.0\n"
        "Started 1 instance, 1 failed.\n"
    )
    assert result.err.startswith("hypersdk: 1 of 2 instances failed\n  c/1: no memory left\n")
    document = command("fleet", "start", "--all", "--json", expect=3).json
    assert [each["result"] for each in document["results"]] == ["failed", "unchanged"]
    assert document["results"][0]["error"]["kind"] == "LimitExceeded"
    assert list(document["error"]["failures"]) == ["c/1"]
    assert labs.states("c") == {"1": STOPPED, "2": RUNNING}


def test_the_only_one_that_fails_is_the_failure(
    command: Runner, labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs.add("c", "1", config='without = ["lifecycle"]')
    known(monkeypatch, labs, "c")
    result = command("fleet", "start", "1", expect=1)
    assert result.err == "hypersdk: c has no lifecycle\n"


def test_a_hypervisor_that_cannot_be_asked(
    command: Runner, labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, labs, "a", "gone")
    result = command("fleet", "start", "db")
    assert "Started 1 instance." in result.out
    assert result.err.startswith("gone was not asked: there is no mock hypervisor in ")
    assert command("fleet", "start", "a/db").err == "", "nobody else was to be asked"
    result = command("fleet", "start", "--all", expect=3)
    assert "Started 1 instance, 1 unchanged." in result.out
    assert result.err.startswith("hypersdk: 1 hypervisor could not be asked\n  gone: ")
