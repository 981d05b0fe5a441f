from tests.kvm.fixtures import guest, lab, libvirtd  # noqa: F401
