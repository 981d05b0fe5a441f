from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.api.known.uploads import Upload
from hypersdk.model.errors import AlreadyExists, InvalidInput, TooLarge

FORM = "multipart/form-data; boundary=edge"


def _form(content: bytes, name: str = "iso", file: str = "a.iso") -> bytes:
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'
    return head.encode() + content + b"\r\n--edge--\r\n"


def _upload(folder: Path, most: int = 1000) -> Upload:
    return Upload(FORM, "iso", lambda name: folder / name, most=most)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_form_may_come_in_any_pieces(tmp_path: Path, step: int) -> None:
    content = bytes(range(256)) + b"\r\n--edg, but not quite\r\n"
    form = _form(content)
    upload = _upload(tmp_path)
    for at in range(0, len(form), step):
        upload.take(form[at : at + step])
    assert upload.finish() == tmp_path / "a.iso"
    assert (tmp_path / "a.iso").read_bytes() == content
    assert upload.size == len(content)
    upload.discard()
    assert [each.name for each in tmp_path.iterdir()] == ["a.iso"]


def test_a_form_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    upload = _upload(tmp_path)
    upload.take(_form(b"content")[:-6])
    with pytest.raises(InvalidInput, match="ended"):
        upload.finish()
    upload.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a.iso").write_bytes(b"old")
    upload = _upload(tmp_path)
    with pytest.raises(AlreadyExists):
        upload.take(_form(b"new"))
    upload.discard()
    assert (tmp_path / "a.iso").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_comes_meanwhile_stays(tmp_path: Path) -> None:
    upload = _upload(tmp_path)
    upload.take(_form(b"new"))
    (tmp_path / "a.iso").write_bytes(b"old")
    with pytest.raises(AlreadyExists):
        upload.finish()
    upload.discard()
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


def test_there_is_a_bound(tmp_path: Path) -> None:
    upload = _upload(tmp_path, most=10)
    with pytest.raises(TooLarge):
        upload.take(_form(bytes(11)))
    upload.discard()
    assert list(tmp_path.iterdir()) == []
    exact = _upload(tmp_path, most=10)
    exact.take(_form(bytes(10)))
    exact.finish()


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("text/plain", b""),
        ("multipart/form-data", b""),
        (FORM, b"nonsense"),
        (FORM, _form(b"x", name="other")),
        (FORM, b"--edge--\r\n"),
        (FORM, b"--edge\r\nX: " + b"y" * 20_000 + b"\r\n\r\n"),
    ],
)
def test_what_is_no_form_is_refused(tmp_path: Path, content_type: str, form: bytes) -> None:
    with pytest.raises(InvalidInput):
        _sent(Upload(content_type, "iso", lambda name: tmp_path / name, most=10), form)
    assert list(tmp_path.iterdir()) == []


def _sent(upload: Upload, form: bytes) -> None:
    try:
        upload.take(form)
        upload.finish()
    finally:
        upload.discard()
