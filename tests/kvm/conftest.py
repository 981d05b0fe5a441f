"""The lab's fixtures for the lab's own tests."""

from tests.kvm.fixtures import guest, lab, libvirtd  # noqa: F401
