from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.app.kinds.folders import Folders
from hypersdk.model.errors import InvalidInput, NotAllowed


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("exports", "images", "exports/acme"):
        (tmp_path / name).mkdir()
    return Folders((tmp_path / "exports", tmp_path / "images"))


def test_what_is_inside(folders: Folders, tmp_path: Path) -> None:
    inside = tmp_path / "exports/a/b"
    assert folders.check(str(inside), "output") == inside
    assert folders.check(f"{tmp_path}/exports/x/../y", "output") == tmp_path / "exports/y"
    assert folders.check(str(tmp_path / "exports"), "output") == tmp_path / "exports"


@pytest.mark.parametrize("path", ["/etc", "exports/../secret", "exports-of-others/x", ""])
def test_what_is_outside(folders: Folders, tmp_path: Path, path: str) -> None:
    absolute = path if path.startswith("/") else f"{tmp_path}/{path}"
    with pytest.raises(NotAllowed, match=r"request.output: ") as caught:
        folders.check(absolute, "output")
    assert "setting 'folders'" in caught.value.hint


def test_links_lead_nowhere_else(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "exports/link").symlink_to("/etc")
    with pytest.raises(NotAllowed, match="which leads to /etc/shadow"):
        folders.check(f"{tmp_path}/exports/link/shadow", "output")
    (tmp_path / "exports/near").symlink_to(tmp_path / "images")
    assert folders.check(f"{tmp_path}/exports/near/x", "output") == tmp_path / "images/x"


def test_a_path_of_nobody_knows_where(folders: Folders) -> None:
    with pytest.raises(InvalidInput, match="no absolute path"):
        folders.check("exports/a", "output")


def test_tenants_have_folders_of_their_own(folders: Folders, tmp_path: Path) -> None:
    own = tmp_path / "exports/acme/web"
    assert folders.check(str(own), "output", tenant="acme") == own
    with pytest.raises(NotAllowed):
        folders.check(str(own), "output", tenant="other")
    with pytest.raises(NotAllowed, match="outside") as caught:
        Folders().check("/srv/x", "output", tenant="acme")
    assert "Tenants need folders" in caught.value.hint
    assert Folders().check("/srv/x", "output") == Path("/srv/x")


def test_images_may_be_exports_of_nbd(folders: Folders, tmp_path: Path) -> None:
    assert folders.check_image("nbd://host/name", "image") == "nbd://host/name"
    with pytest.raises(NotAllowed, match="not NBD exports"):
        folders.check_image("nbd://host/name", "image", tenant="acme")
    with pytest.raises(NotAllowed, match="outside"):
        folders.check_image("nbd+unix:///x?socket=/run/secret.sock", "image")
    socket = f"nbd+unix:///x?socket={tmp_path}/images/s.sock"
    assert folders.check_image(socket, "image") == socket


def test_uploads(folders: Folders, tmp_path: Path) -> None:
    folders.check_upload("s3://bucket/prefix")
    folders.check_upload(f"file://{tmp_path}/exports/up")
    folders.check_upload(f"file://{tmp_path}/exports/acme/up", tenant="acme")
    for url in ("file:///etc", "sftp://u@h/f?key=/root/.ssh/id"):
        with pytest.raises(NotAllowed):
            folders.check_upload(url)
    with pytest.raises(NotAllowed, match="no credentials"):
        folders.check_upload("s3://bucket/prefix", tenant="acme")
