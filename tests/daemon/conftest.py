"""What these tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.scene import Site
from tests.kvm.fixtures import guest, lab, libvirtd
from tests.postgres import postgres_server, postgres_url
from tests.vsphere.fixtures import vsphere_lab

__all__ = ["guest", "lab", "libvirtd", "postgres_server", "postgres_url", "vsphere_lab"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.made(tmp_path)
