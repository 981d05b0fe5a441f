from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.config.documents import read_document, toml_text, toml_value, write_privately
from hypersdk.model.errors import InvalidInput


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_is_toml(text: str) -> None:
    assert tomllib.loads(f"x = {toml_text(text)}") == {"x": text}


@pytest.mark.parametrize("value", [True, False, 0, -3, "a", ("a", "b"), ()])
def test_values_are_toml(value: object) -> None:
    found = tomllib.loads(f"x = {toml_value(value)}")["x"]
    assert found == (list(value) if isinstance(value, tuple) else value)


def test_written_for_its_owner_and_not_over_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.toml"
    write_privately(path, "a = 1\n", replace=False)
    assert read_document(path) == {"a": 1}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        write_privately(path, "a = 2\n", replace=False)
    write_privately(path, "a = 3\n", replace=True)
    assert read_document(path) == {"a": 3}
    assert [each.name for each in path.parent.iterdir()] == ["x.toml"]


def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(InvalidInput, match="cannot write"):
        write_privately(Path("/proc/hypersdk/x.toml"), "", replace=True)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read_document(tmp_path / "x.toml")
