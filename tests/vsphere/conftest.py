"""Fixtures of the lab for the tests beside it."""

from tests.vsphere.fixtures import vsphere_lab

__all__ = ["vsphere_lab"]
