"""Connecting: what a URL may name, and what has to be there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk.drivers.ports import capabilities
from hypersdk.drivers.qmp.driver import QmpHypervisor, connect
from hypersdk.drivers.qmp.state import PATH_MAX
from hypersdk.model.capabilities import Grade
from hypersdk.model.errors import (
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    InvalidInput,
    MissingRequirement,
)
from tests.components import require
from tests.drivers.qmp.conftest import Place


def test_a_url_names_a_folder(place: Place) -> None:
    hypervisor = connect(f"qmp://{place.folder}/with%20space")
    assert hypervisor.url == f"qmp://{place.folder}/with%20space"
    assert list(hypervisor.inventory.instances()) == []
    assert not (place.folder / "with space").exists()
    hypervisor.close()
    for bad in ("qmp://host/folder", "qmp:///folder?x=1", "qmp:relative"):
        with pytest.raises(InvalidInput):
            connect(bad)


def test_a_folder_of_something_else_is_refused(place: Place) -> None:
    (place.folder / "letter.txt").write_text("Dear Sir")
    with pytest.raises(HypervisorUnreachable, match="something else"):
        QmpHypervisor(place.folder)
    with pytest.raises(HypervisorUnreachable, match="no folder"):
        QmpHypervisor(place.folder / "letter.txt")
    with pytest.raises(InvalidInput, match="too long a path"):
        QmpHypervisor(place.folder / ("x" * PATH_MAX))


def test_a_folder_that_may_not_be_read_is_denied(place: Place) -> None:
    place.root.mkdir()
    place.root.chmod(0)
    child = os.fork()
    if child == 0:  # another user, where we are root
        code = 1
        try:
            if os.geteuid() == 0:
                place.folder.chmod(0o711)
                os.setresuid(65534, 65534, 65534)
            QmpHypervisor(place.root)
        except HypervisorDenied:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    place.root.chmod(0o700)


def test_without_qemu_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRequirement, match="not installed") as caught:
        QmpHypervisor(tmp_path / "q")
    assert "apt-get install" in caught.value.hint


@pytest.mark.parametrize("version", ["5.2.0", "7.0.93"])
def test_a_qemu_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    require("qemu-img")
    program = tmp_path / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\necho 'QEMU emulator version {version}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(MissingRequirement, match="too old"):
        QmpHypervisor(tmp_path / "q")


def test_parts_say_what_they_lack(place: Place) -> None:
    grades = {found.part: found.grade for found in capabilities(place.driver)}
    assert grades["disks"] is Grade.FULL
    assert grades["snapshots"] is Grade.PARTIAL
    assert grades["execution"] is Grade.NONE


def test_a_damaged_definition_is_named(place: Place) -> None:
    place.create()
    file = place.backend.definition("web")[0] / "definition.json"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(HypervisorError, match=r"definition\.json is damaged"):
        place.driver.inventory.instance("web")
    file.write_bytes(whole)
