"""The lab for the tests of this folder."""

from tests.vsphere.fixtures import vsphere_lab

__all__ = ["vsphere_lab"]
