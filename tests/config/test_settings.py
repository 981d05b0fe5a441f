from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from hypersdk.config.settings import Settings, config_file, load_settings
from hypersdk.model.errors import InvalidInput


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and no variable of ours."""
    for name in list(os.environ):
        if name.startswith(("HYPERSDK_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write_file(home: Path, text: str) -> Path:
    path = home / ".config/hypersdk/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_defaults(home: Path) -> None:
    settings = load_settings()
    assert settings.cache_dir == home / ".cache/hypersdk"
    assert settings.repository is None
    assert settings.key is None
    assert settings.log_level == "info"
    assert settings.workers is None


def test_the_file_the_environment_and_the_caller_win_in_this_order(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(home, 'repository = "file"\nlog_level = "debug"\nworkers = 1\n')
    assert load_settings().repository == "file"
    monkeypatch.setenv("HYPERSDK_REPOSITORY", "environment")
    monkeypatch.setenv("HYPERSDK_WORKERS", "2")
    assert load_settings().repository == "environment"
    settings = load_settings(workers=3, log_level=None)
    assert settings.repository == "environment"
    assert settings.workers == 3
    assert settings.log_level == "debug"


def test_an_empty_variable_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(home, 'repository = "file"')
    monkeypatch.setenv("HYPERSDK_REPOSITORY", "")
    assert load_settings().repository == "file"


def test_another_file_can_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(home, 'repository = "usual"')
    (home / "other.toml").write_text('repository = "other"')
    monkeypatch.setenv("HYPERSDK_CONFIG", "~/other.toml")
    assert config_file() == home / "other.toml"
    assert load_settings().repository == "other"
    monkeypatch.setenv("HYPERSDK_CONFIG", str(home / "none.toml"))
    with pytest.raises(InvalidInput, match=r"there is no settings file .*none.toml"):
        load_settings()


def test_a_relative_cache_is_made_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_CACHE_DIR", "~/cache")
    assert load_settings().cache_dir == home / "cache"
    monkeypatch.chdir(home)
    monkeypatch.setenv("HYPERSDK_CACHE_DIR", "here")
    assert load_settings().cache_dir == home / "here"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("repo", "repository"), ("worker", "workers"), ("loglevel", "log_level")],
)
def test_an_unknown_name_in_the_file_is_refused(home: Path, name: str, nearest: str) -> None:
    path = write_file(home, f'{name} = "hunter2"')
    with pytest.raises(InvalidInput) as refused:
        load_settings()
    assert refused.value.message == f"{path}: unknown setting {name}"
    assert refused.value.hint.startswith(f"Did you mean {nearest}? The settings are cache_dir, ")
    assert "hunter2" not in str(refused.value)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_LOGLEVEL", "debug")
    with pytest.raises(InvalidInput) as refused:
        load_settings()
    assert str(refused.value) == (
        "unknown environment variable HYPERSDK_LOGLEVEL\nDid you mean HYPERSDK_LOG_LEVEL?"
    )


def test_a_variable_that_holds_a_secret_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_PASSPHRASE", "x")
    monkeypatch.setenv("HYPERSDK_KEY", "env:HYPERSDK_PASSPHRASE")
    assert load_settings().key == "env:HYPERSDK_PASSPHRASE"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HYPERSDK_WORKERS", "0", "HYPERSDK_WORKERS: Input should be greater than or equal to 1"),
        ("HYPERSDK_WORKERS", "many", "HYPERSDK_WORKERS: Input should be a valid integer"),
        ("HYPERSDK_LOG_LEVEL", "loud", "HYPERSDK_LOG_LEVEL: Input should be 'debug', 'info'"),
        ("HYPERSDK_KEY", "hunter2", "HYPERSDK_KEY: a secret must be given as a reference"),
    ],
)
def test_a_malformed_value_is_named_by_its_source(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput) as refused:
        load_settings()
    assert refused.value.message.startswith(message)
    assert "hunter2" not in str(refused.value)


def test_a_malformed_value_in_the_file_or_from_the_caller(home: Path) -> None:
    path = write_file(home, 'workers = "many"')
    with pytest.raises(InvalidInput) as refused:
        load_settings()
    assert refused.value.message.startswith(f"{path}: workers: Input should be a valid integer")
    with pytest.raises(InvalidInput) as refused:
        load_settings(workers=0)
    assert refused.value.message.startswith("workers: Input should be greater")


@pytest.mark.parametrize("text", ["not toml at all", 'repository = "open', "\x00"])
def test_a_broken_file_is_named(home: Path, text: str) -> None:
    path = write_file(home, text)
    with pytest.raises(InvalidInput, match="is not TOML") as refused:
        load_settings()
    assert str(path) in refused.value.message


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.workers = 3
    assert isinstance(settings, Settings)


def test_hypervisors_in_the_file_and_in_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().hypervisors == {}
    write_file(home, '[hypervisors]\nlab = "mock:///srv/lab"\nedge = "docker:///run/d.sock"\n')
    assert load_settings().hypervisors == {"lab": "mock:///srv/lab", "edge": "docker:///run/d.sock"}
    monkeypatch.setenv("HYPERSDK_HYPERVISORS", '{"lab": "mock:///srv/other"}')
    assert load_settings().hypervisors["lab"] == "mock:///srv/other"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("mock:///srv/lab", "HYPERSDK_HYPERVISORS is not JSON"),
        ('["mock:///srv/lab"]', "HYPERSDK_HYPERVISORS: "),
        ('{"a/b": "mock:///srv"}', "HYPERSDK_HYPERVISORS: a name has letters, digits"),
        ('{"lab": "/srv/lab"}', "HYPERSDK_HYPERVISORS: lab is no URL"),
        ('{"lab": 1}', "HYPERSDK_HYPERVISORS: "),
    ],
)
def test_hypervisors_that_are_wrong(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setenv("HYPERSDK_HYPERVISORS", value)
    with pytest.raises(InvalidInput, match=message):
        load_settings()
