from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.config.profiles import (
    BUILT_IN,
    TEMPLATES,
    create_default_profiles,
    delete_profile,
    list_profiles,
    load_profile,
    make_profile,
    profiles_folder,
    save_profile,
)
from hypersdk.model.errors import AlreadyExists, Conflict, InvalidInput, NotFound

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
NIGHTLY: dict[str, Any] = {
    "description": 'Nightly, "off site" — ä\n',
    "format": "ova",
    "compress": True,
    "verify": False,
    "parallel": 8,
    "upload": "s3://backups/vmware",
    "recipients": ["age1qqqq", "age1rrrr"],
    "passphrase": "env:EXPORT_PASSPHRASE",
    "notify": ["file:/etc/hypersdk/mail"],
    "tags": {"site": "lab", "with space": "\x7f"},
}


def test_kept_and_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "profiles"
    path = save_profile(make_profile("nightly", NIGHTLY), folder, now=NOW)
    assert path == folder / "nightly.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in folder.iterdir()] == ["nightly.toml"]
    read = load_profile("nightly", folder)
    assert (read.created, read.modified, read.tags) == (NOW, NOW, NIGHTLY["tags"])
    assert read.description == NIGHTLY["description"]
    assert read.settings() == {
        "format": "ova",
        "compress": True,
        "verify": False,
        "parallel": 8,
        "upload": "s3://backups/vmware",
        "recipients": ("age1qqqq", "age1rrrr"),
        "passphrase": "env:EXPORT_PASSPHRASE",
        "notify": ("file:/etc/hypersdk/mail",),
    }


def test_what_is_left_out_is_not_false() -> None:
    assert make_profile("x", {"format": "ovf"}).settings() == {"format": "ovf"}
    assert make_profile("x", {"keep_local": False}).settings() == {"keep_local": False}
    assert make_profile("x", {}).settings() == {}


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, text: str, tags: dict[str, str]
) -> None:
    try:
        text.encode(), "".join([*tags, *tags.values()]).encode()
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    folder = tmp_path_factory.mktemp("profiles")
    save_profile(make_profile("x", {"description": text, "tags": tags, "output": text}), folder)
    read = load_profile("x", folder)
    assert (read.description, read.tags, read.output) == (text, tags, text)


def test_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profiles_folder() == tmp_path / "hypersdk" / "profiles"
    save_profile(make_profile("nightly", {}))
    assert (tmp_path / "hypersdk" / "profiles" / "nightly.toml").exists()
    assert load_profile("nightly").settings() == {}
    assert "nightly" in {each.name for each in list_profiles()}
    delete_profile("nightly")
    assert list((tmp_path / "hypersdk" / "profiles").iterdir()) == []


def test_a_second_one_of_the_same_name(tmp_path: Path) -> None:
    first = make_profile("nightly", {"format": "ova"})
    save_profile(first, tmp_path, now=NOW)
    with pytest.raises(AlreadyExists) as caught:
        save_profile(make_profile("nightly", {"format": "raw"}), tmp_path)
    assert "--delete-profile nightly" in caught.value.hint
    assert load_profile("nightly", tmp_path).format == "ova"
    changed = load_profile("nightly", tmp_path).model_copy(update={"format": "raw"})
    later = NOW.replace(hour=3)
    save_profile(changed, tmp_path, replace=True, now=later)
    read = load_profile("nightly", tmp_path)
    assert (read.format, read.created, read.modified) == ("raw", NOW, later)


def test_one_in_json(tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text('{"format": "qcow2", "created": "2026-11-21T02:00:00Z"}')
    read = load_profile("site", tmp_path)
    assert (read.format, read.created) == ("qcow2", NOW)
    save_profile(read, tmp_path, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["site.toml"]


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "x" * 65, "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidInput, match="name: a name has letters"):
        make_profile(name, {})


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("formt", "ova", "Did you mean format?"),
        ("paralel", 4, "Did you mean parallel?"),
        ("zzz", 1, "The fields are"),
        ("format", "iso", "format: "),
        ("parallel", 0, "parallel: "),
        ("parallel", "4", "parallel: "),
        ("verify", "yes", "verify: "),
        ("passphrase", "hunter2", "passphrase: a secret must be given as a reference"),
        ("webhook_secret", "whsec_hunter2", "must be given as a reference"),
        ("webhook_url", "https://hooks.example.org/hunter2", "must be given as a reference"),
        ("notify", ["mailto://user:hunter2@host"], "must be given as a reference"),
        ("upload", "sftp://user:hunter2@host/x", "contains a password"),
        ("tags", {"a": 1}, "tags.a: "),
    ],
)
def test_fields_that_are_wrong(field: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_profile("x", {field: value})
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_with_a_wrong_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('formt = "ova"\n')
    with pytest.raises(InvalidInput, match="unknown field formt") as caught:
        load_profile("x", tmp_path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.toml", b"format ="),
        ("x.toml", b"\xff"),
        ("x.json", b"{"),
        ("x.json", b"[]"),
        ("x.json", b"[" * 100_000),
        ("x.toml", b"#" * (257 << 10)),
        ("x.toml", b'name = "y"'),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput):
        load_profile("x", tmp_path)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        load_profile("produktion-backup", tmp_path)
    assert caught.value.hint.startswith("Did you mean production-backup?")
    with pytest.raises(NotFound):
        load_profile("../../etc/passwd", tmp_path)
    with pytest.raises(NotFound):
        delete_profile("nothing", tmp_path)


def test_built_in_ones(tmp_path: Path) -> None:
    names = ["archive", "cloud-backup", "development", "encrypted-backup", "production-backup"]
    assert [each.name for each in list_profiles(tmp_path)] == [*names, "quick-export"]
    assert set(TEMPLATES.values()) <= set(BUILT_IN)
    assert load_profile("Production Backup", tmp_path) is BUILT_IN["production-backup"]
    with pytest.raises(Conflict, match="is built in"):
        delete_profile("archive", tmp_path)
    assert all(each.settings() and each.description for each in BUILT_IN.values())


def test_built_in_ones_as_files_to_change(tmp_path: Path) -> None:
    save_profile(make_profile("archive", {"format": "raw"}), tmp_path)
    assert len(create_default_profiles(tmp_path)) == len(BUILT_IN) - 1
    assert load_profile("archive", tmp_path).format == "raw"
    assert load_profile("cloud-backup", tmp_path).settings() == BUILT_IN["cloud-backup"].settings()
    assert create_default_profiles(tmp_path) == ()
    delete_profile("archive", tmp_path)
    assert load_profile("archive", tmp_path) is BUILT_IN["archive"]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("notes")
    (tmp_path / ".x.toml-abc").write_text("half")
    assert len(list_profiles(tmp_path)) == len(BUILT_IN)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot"):
        save_profile(make_profile("x", {}), tmp_path / "file" / "profiles")


def test_what_is_half_written_is_not_there(tmp_path: Path) -> None:
    save_profile(make_profile("x", {"format": "ova"}), tmp_path)
    (tmp_path / "x.toml").chmod(0o400)
    save_profile(make_profile("x", {"format": "raw"}), tmp_path, replace=True)
    assert load_profile("x", tmp_path).format == "raw"
    assert os.listdir(tmp_path) == ["x.toml"]
    assert json.dumps(load_profile("x", tmp_path).settings()) == '{"format": "raw"}'
