"""The lab, and a scene in it whose runs keep their files where leftovers are seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.kvm.scene import Scene
from tests.kvm.fixtures import Lab, guest, lab, libvirtd  # noqa: F401


@pytest.fixture
def scratch(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811 - the fixture
    """Where runs have their folders; open to QEMU, and emptied by each run."""
    folder = lab.folder / "scratch"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(folder))
    return folder


@pytest.fixture
def scene(lab: Lab, tmp_path: Path, scratch: Path) -> Iterator[Scene]:  # noqa: F811
    """Fails the test when a run left a folder behind."""
    scene = Scene.made(lab, tmp_path, scratch)
    yield scene
    scene.close()
    assert scene.workplaces() == []
