from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.api.known.daemons import Known

MIB = 1 << 20
_HEAD = b'--x\r\nContent-Disposition: form-data; name="iso"; filename="a.iso"\r\n\r\n'


@pytest.fixture
def isos(known: Known) -> Iterator[Path]:
    folder = Path(known.daemon.services.settings.folders.isos)
    yield folder
    for each in folder.glob("*") if folder.is_dir() else ():
        each.unlink()


def _upload(known: Known, name: str, content: object, part: str = "iso") -> httpx.Response:
    return known.client.post("/libvirt/isos/upload", files={part: (name, content)})  # type: ignore[dict-item]


def test_an_image_is_uploaded_listed_and_deleted(known: Known, isos: Path) -> None:
    content = os.urandom(5 * MIB + 17)
    answer = _upload(known, "debian 12.iso", content)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"status", "message", "filename", "path", "size"}
    assert answer.json()["size"] == len(content)
    assert (isos / "debian 12.iso").read_bytes() == content
    found = known.get("/libvirt/isos/list")
    assert set(found) == {"isos", "total", "storage_dir"}
    assert found["isos"] == [
        {"name": "debian 12.iso", "path": str(isos / "debian 12.iso"), "size": len(content)}
    ]
    again = _upload(known, "debian 12.iso", b"other")
    assert again.status_code == 409
    assert (isos / "debian 12.iso").read_bytes() == content
    gone = known.post("/libvirt/isos/delete", {"filename": "debian 12.iso"})
    assert set(gone) == {"status", "message", "filename"}
    assert list(isos.iterdir()) == []
    known.refused("POST", "/libvirt/isos/delete", {"filename": "debian 12.iso"}, status=404)


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "..iso", ".hidden.iso", "a\nb.iso", "-x.iso", "a;b.iso", "x" * 300 + ".iso"],
)
def test_odd_names_are_refused(known: Known, isos: Path, name: str) -> None:
    answer = _upload(known, name, b"x")
    assert answer.status_code == 400, answer.text
    assert not isos.exists() or list(isos.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/cron.d/x.iso", "C:\\images\\x.iso", "/root/x.iso"])
def test_of_a_path_only_the_name_counts(known: Known, isos: Path, name: str) -> None:
    assert _upload(known, name, b"x").status_code == 201
    assert [each.name for each in isos.iterdir()] == ["x.iso"]


@pytest.mark.parametrize("path", ["../hypervisord.db", "/etc/hostname", "..", "."])
def test_deleting_stays_in_its_folder(known: Known, isos: Path, path: str) -> None:
    _upload(known, "a.iso", b"x")
    known.refused("POST", "/libvirt/isos/delete", {"filename": path}, status=403)
    (isos / "link.iso").symlink_to("/etc/hostname")
    known.refused("POST", "/libvirt/isos/delete", {"filename": "link.iso"}, status=403)
    assert [each["name"] for each in known.get("/libvirt/isos/list")["isos"]] == ["a.iso"]


def test_forms_that_are_none(known: Known, isos: Path) -> None:
    for answer in (
        known.client.post("/libvirt/isos/upload", content=b"x"),
        known.client.post("/libvirt/isos/upload", json={}),
        _upload(known, "a.iso", b"x", part="file"),
        known.client.post(
            "/libvirt/isos/upload",
            content=b"--x\r\nnonsense",
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        ),
        known.client.post(
            "/libvirt/isos/upload",
            content=_HEAD + b"abc",
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        ),
        known.client.post(
            "/libvirt/isos/upload",
            files=[("iso", ("a.iso", b"1")), ("iso", ("b.iso", b"2"))],
        ),
    ):
        assert answer.status_code == 400, answer.text
        assert set(answer.json()) == {"error", "hint", "timestamp"}
    assert not isos.exists() or list(isos.iterdir()) == []


def test_a_large_image_takes_no_memory(known: Known, isos: Path) -> None:
    """Client and daemon are this process: neither may hold the file."""
    size = 256 * MIB
    block = bytes(MIB)

    def parts() -> Iterator[bytes]:
        yield _HEAD.replace(b"a.iso", b"big.iso")
        for _ in range(size // MIB):
            yield block
        yield b"\r\n--x--\r\n"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = known.client.post(
        "/libvirt/isos/upload",
        content=parts(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert answer.status_code == 201, answer.text
    assert (isos / "big.iso").stat().st_size == size
    assert grown < 96 * 1024


def test_an_upload_has_a_bound(known: Known, isos: Path) -> None:
    settings = known.daemon.services.settings
    limits = settings.limits.model_copy(update={"upload": 1000})
    state = known.daemon.app.state
    before = state.services
    state.services = replace(before, settings=settings.model_copy(update={"limits": limits}))
    try:
        answer = _upload(known, "large.iso", bytes(1001))
        assert answer.status_code == 413, answer.text
    finally:
        state.services = before
    assert list(isos.iterdir()) == []
