"""The guest's kernel and initramfs, which ``scripts/lab`` makes once for a checkout.

Busybox and QEMU's guest agent on Debian's cloud kernel, up in two seconds of emulation; see
``tests/kvm/init`` for what the guest understands.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.components import missing

_CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class System:
    """What a domain boots directly, without a disk."""

    kernel: Path
    initramfs: Path

    @classmethod
    def installed(cls, folder: Path) -> Self:
        """A copy in a folder, made if need be. Skips the test if it cannot be (fails under CI).

        Each daemon has its own: libvirt changes the owner of these files while a domain runs, and
        libvirt-qemu may not reach the checkout.
        """
        system = cls(folder / "vmlinuz", folder / "initramfs")
        if not system.initramfs.exists():
            done = subprocess.run(
                [_CHECKOUT / "scripts/lab"], check=False, capture_output=True, text=True
            )
            if done.returncode != 0:
                missing(f"the lab's guest cannot be made: {done.stderr}")
            shutil.copy(_CHECKOUT / ".lab/vmlinuz", system.kernel)
            shutil.copy(_CHECKOUT / ".lab/initramfs", system.initramfs)
        return system
