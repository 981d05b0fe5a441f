from __future__ import annotations

from tests.kvm.fixtures import lab, libvirtd
from tests.vsphere.fixtures import vsphere_lab

__all__ = ["lab", "libvirtd", "vsphere_lab"]
