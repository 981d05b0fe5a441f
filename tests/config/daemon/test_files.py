from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.config.daemon.files import find_settings_file, read_settings_file
from hypersdk.model.errors import InvalidInput
from tests.config.daemon.conftest import Write


def test_a_named_file_comes_first_then_the_users_own_then_the_systems(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_settings_file() is None
    system = write("", "etc/hypervisord.toml")
    assert find_settings_file() == system
    own = write("", ".config/hypersdk/hypervisord.yaml")
    assert find_settings_file() == own
    by_variable = write("", "variable.yaml")
    monkeypatch.setenv("HYPERVISORD_CONFIG", str(by_variable))
    assert find_settings_file() == by_variable
    named = write("", "named.yaml")
    assert find_settings_file(named) == named


def test_a_missing_file_that_was_named_and_two_in_one_folder_are_refused(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match="there is no settings file"):
        find_settings_file(home / "none.yaml")
    monkeypatch.setenv("HYPERVISORD_CONFIG", str(home / "none.yaml"))
    with pytest.raises(InvalidInput, match="which HYPERVISORD_CONFIG names"):
        find_settings_file()
    monkeypatch.delenv("HYPERVISORD_CONFIG")
    write("", "etc/hypervisord.toml")
    write("", "etc/hypervisord.yaml")
    with pytest.raises(InvalidInput, match="two settings files"):
        find_settings_file()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "a: 1\nb: [\n", "line 3"),
        ("a.yaml", "a: 1\nb: 2\na: 3\n", "line 3: 'a' is given twice"),
        ("a.yaml", "a: &x [1]\nb: *x\n", "line 2: aliases are not allowed"),
        ("a.yaml", "- 1\n", "not a mapping"),
        ("a.toml", "a = 1\na = 2\n", "is not TOML"),
        ("a.json", "{}", "Call it .yaml or .toml"),
        ("a.yaml", "x" * (1 << 20) + "y", "larger than 1 MiB"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    write: Write, name: str, text: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_settings_file(write(text, name))
    assert said in str(refused.value)


def test_an_empty_file_sets_nothing(write: Write) -> None:
    assert read_settings_file(write("# nothing\n")).content == {}


def test_lines_of_toml(write: Write) -> None:
    text = 'a = 1\n"b" = 2\n[c.d]\ne.f = 3\n[[g]]\nh = 1\n[[g]]\n  h = 2 # x = 1\n'
    file = read_settings_file(write(text, "a.toml"))
    assert file.line(("a",)) == 1
    assert file.line(("b",)) == 2
    assert file.line(("c", "d", "e", "f")) == 4
    assert file.line(("g", 0, "h")) == 6
    assert file.line(("g", 1, "h")) == 8
    assert file.line(("g", 1, "unknown")) == 7
    assert file.line(("nothing",)) is None
