from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.api.known.folders import file_name, inside, refuse_outside
from hypersdk.config.daemon.sections import FolderSettings
from hypersdk.model.accounts import LOCAL, Principal, Role
from hypersdk.model.errors import InvalidInput, NotAllowed, NotFound


def test_a_file_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.img").touch()
    for name in ("sub/a.img", str(tmp_path / "sub/a.img"), "sub/../sub/a.img"):
        assert inside(tmp_path, name, "", "source") == tmp_path / "sub/a.img"


@pytest.mark.parametrize("path", ["/etc/hostname", "../x", "", ".", "link/hostname"])
def test_nothing_leads_outside(tmp_path: Path, path: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(NotAllowed, match="source"):
        inside(tmp_path, path, "", "source")


def test_a_tenant_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.img").touch()
    (tmp_path / "common.img").touch()
    assert inside(tmp_path, "x.img", "a", "source") == tmp_path / "a/x.img"
    with pytest.raises(NotAllowed):
        inside(tmp_path, "../common.img", "a", "source")
    with pytest.raises(NotFound):
        inside(tmp_path, "common.img", "a", "source")


def test_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        inside(tmp_path, "a\0b", "", "source")


def test_names_of_files() -> None:
    assert file_name("Debian 12 (amd64)+x_1.ISO", ".iso")
    for name in ("", ".iso", "a/b.iso", "a..iso", "-a.iso", "a.img", "ä.iso", "a" * 256):
        with pytest.raises(InvalidInput):
            file_name(name, ".iso")


def test_of_files_elsewhere_nothing_is_told(tmp_path: Path) -> None:
    folders = {name: str(tmp_path / name) for name in ("exports", "imports", "isos", "backups")}
    anywhere = FolderSettings.model_validate(folders)
    some = FolderSettings.model_validate({**folders, "allowed": [str(tmp_path / "more")]})
    elsewhere, own = Path("/etc/hostname"), tmp_path / "exports/a/x.vmdk"
    viewer, tenant = Principal("v", Role.VIEWER), Principal("t", Role.ADMIN, "a")
    refuse_outside(anywhere, LOCAL, elsewhere, "x")
    refuse_outside(some, LOCAL, tmp_path / "more/x.vmdk", "x")
    refuse_outside(some, tenant, own, "x")
    for settings, who, path in (
        (anywhere, viewer, elsewhere),
        (anywhere, tenant, elsewhere),
        (some, LOCAL, elsewhere),
        (some, tenant, tmp_path / "exports/b/x.vmdk"),
        (some, LOCAL, tmp_path / "exports/../x"),
    ):
        with pytest.raises(NotAllowed, match="outside"):
            refuse_outside(settings, who, path, "x")
    with pytest.raises(InvalidInput):
        refuse_outside(anywhere, LOCAL, Path("a\0b"), "x")
