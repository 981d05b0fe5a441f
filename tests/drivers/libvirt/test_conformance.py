"""The driver for libvirt keeps all that the ports promise, on a private libvirtd with QEMU."""

from __future__ import annotations

from collections.abc import Callable

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.libvirt import LibvirtTarget
from hypersdk.conformance.testing import conformance_tests
from tests.components import require, require_root
from tests.kvm.daemon import Libvirtd
from tests.kvm.system import System


class OwnDaemon(LibvirtTarget):
    """With a daemon that goes with it."""

    def __init__(self) -> None:
        require_root()
        require("libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-io", "unshare", "virsh")
        self._daemon = Libvirtd(control_groups=True)
        try:
            system = System.installed(self._daemon.boot)
        except BaseException:
            self._daemon.close()
            raise
        folder = self._daemon.images / "kit"
        folder.mkdir()
        folder.chmod(0o777)
        site = Site(
            folder=str(folder),
            kernel=str(system.kernel),
            initrd=str(system.initramfs),
            kernel_arguments="console=ttyS0 quiet loglevel=1 mitigations=off panic=-1",
        )
        super().__init__(self._daemon.url, site)

    def close(self) -> None:
        super().close()
        self._daemon.close()


test_conformance: Callable[..., None] = conformance_tests(OwnDaemon, timeout=90)
