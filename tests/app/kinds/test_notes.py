from __future__ import annotations

from pathlib import Path

from hypersdk.app.kinds.notes import Note, looks


def test_kept_in_the_folder_and_gone_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    note = Note(folder, "export", "01JD")
    assert note.read() is None
    note.write(before=[1])
    note.add(sent=["x"])
    assert Note(folder, "export", "01JD").read() == {"before": [1], "sent": ["x"]}
    assert Note(folder, "export", "01JE").read() is None
    (path,) = folder.iterdir()
    assert path.name == ".export.01JD.job"
    assert path.stat().st_mode & 0o777 == 0o600
    note.remove()
    note.remove()
    assert not folder.exists()
    assert tmp_path.exists()


def test_a_folder_with_files_stays(tmp_path: Path) -> None:
    note = Note(tmp_path, "export", "01JD")
    note.write()
    (tmp_path / "file").touch()
    note.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_understood_is_none(tmp_path: Path) -> None:
    note = Note(tmp_path, "x" * 300, "01JD")
    note.write(a=1)
    (path,) = tmp_path.iterdir()
    for content in (b"{", b"[1]", b"\xff"):
        path.write_bytes(content)
        assert note.read() is None


def test_looks(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert looks(path) == []
    path.write_text("one")
    first = looks(path)
    assert looks(path) == first
    (tmp_path / "other").write_text("one")
    (tmp_path / "other").replace(path)
    assert looks(path) != first
