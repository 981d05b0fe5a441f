from __future__ import annotations

from tests.cli.hypervisord.conftest import Hypervisord


def test_nothing_is_wrong(hypervisord: Hypervisord) -> None:
    assert (
        hypervisord("config", "check").out == "the settings (there is no file): nothing is wrong\n"
    )
    path = hypervisord.settings("listen: localhost:9000\n")
    assert hypervisord("config", "check").out == f"{path}: nothing is wrong\n"
    assert hypervisord("config", "check", "--json").json == {
        "file": str(path),
        "valid": True,
        "problems": [],
    }


def test_everything_that_is_wrong_is_said_at_once(hypervisord: Hypervisord) -> None:
    path = hypervisord.settings("listn: x\nlimits: {body: much}\nvcenterurl: x\n")
    found = hypervisord("config", "check", expect=2)
    lines = found.out.splitlines()
    assert lines[0] == f"{path}, line 1: listn: there is no such setting"
    assert lines[1].startswith("  Did you mean listen? There are ")
    assert lines[2].startswith(f"{path}, line 2: limits.body: ")
    assert lines[3] == f"{path}, line 3: vcenterurl: there is no such setting"
    assert "vsphere://USER@HOST" in lines[4]
    assert found.err == "hypervisord: 3 problems in the settings\n"
    document = hypervisord("config", "check", "--json", expect=2).json
    assert [each["key"] for each in document["problems"]] == ["listn", "limits.body", "vcenterurl"]
    assert document["valid"] is False
    assert document["error"]["kind"] == "InvalidInput"


def test_the_first_problem_is_the_error_of_other_commands(hypervisord: Hypervisord) -> None:
    hypervisord.settings("listn: x\nport: 1\n")
    found = hypervisord("users", "list", expect=2)
    assert "listn: there is no such setting" in found.err
    assert "There are 1 more; see: hypervisord config check" in found.err


def test_settings_are_shown_with_where_they_come_from(hypervisord: Hypervisord) -> None:
    path = hypervisord.settings(
        "log_level: debug\nwebhooks: [{name: a, url: 'https://h/geheim'}]\n"
    )
    found = hypervisord("config", "show", "--database", "sqlite:////tmp/x.db")
    rows = [line.split() for line in found.out.splitlines()]
    assert ["log_level", "debug", f"{path},", "line", "1"] in rows
    assert ["database", "sqlite:////tmp/x.db", "--database"] in rows
    assert ["listen", "localhost:8080", "default"] in rows
    assert "geheim" not in found.out
    document = hypervisord("config", "show", "--json").json
    assert document["settings"]["log_level"] == "debug"
    assert document["sources"]["log_level"] == f"{path}, line 1"
    assert document["settings"]["webhooks"][0]["url"] == "https://h/***"


def test_options_go_before_and_behind_the_command_and_with_one_dash(
    hypervisord: Hypervisord,
) -> None:
    named = hypervisord.folder / "named.yaml"
    named.write_text("log_level: error\n")
    for words in (
        ("--config", str(named), "config", "show", "--json"),
        ("-config", str(named), "config", "show", "--json"),
        (f"-config={named}", "config", "show", "--json"),
        ("config", "show", "--json", "--config", str(named)),
    ):
        assert hypervisord(*words).json["settings"]["log_level"] == "error"
