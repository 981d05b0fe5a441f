"""The conformance kit on real QEMU processes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.qmp import QmpTarget
from hypersdk.conformance.testing import conformance_tests
from tests.components import require
from tests.kvm.system import System


class _Target(QmpTarget):
    """In a folder of its own, with the lab's guest."""

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._backend.root.parent)


def _target() -> QmpTarget:
    require("qemu-system-x86_64", "qemu-img", "qemu-io")
    folder = Path(tempfile.mkdtemp(prefix="qmp-"))
    system = System.installed(folder)
    site = Site(
        kernel=str(system.kernel),
        initrd=str(system.initramfs),
        kernel_arguments="console=ttyS0",
        acceleration="tcg",
    )
    return _Target(f"qmp://{folder}/q", folder / "q", site)


test_conformance = conformance_tests(_target)
