"""Whether KVM works here, found out by booting with it.

That ``/dev/kvm`` opens says little: on machines within machines QEMU may abort at the first
register it sets, or hang. So a firmware of nine bytes is booted with the very processor model that
guests get. It writes a letter to the debug port and switches the machine off, within 0.1 s. The
answer holds until the host boots again or QEMU changes, and is kept in ``ROOT/kvm.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from hypersdk.drivers.qmp.emulator import Emulator
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.process import boot_id
from hypersdk.drivers.qmp.state import replace_file

#: Processor that guests get with each acceleration.
PROCESSORS = {"kvm": "host", "tcg": "max"}
_SECONDS = 5.0
_LETTER = b"K"
#: mov al,'K'; out 0xe9,al; mov al,0; out 0xf4,al; hlt
_CODE = bytes((0xB0, _LETTER[0], 0xE6, 0xE9, 0xB0, 0x00, 0xE6, 0xF4, 0xF4))
#: The processor begins 16 bytes before the end: jmp to the first byte.
_RESET = bytes((0xE9, 0x0D, 0x00))
_SIZE = 64 * 1024


def firmware() -> bytes:
    """64 KiB that report and stop."""
    image = bytearray(b"\xf4" * _SIZE)
    image[: len(_CODE)] = _CODE
    image[_SIZE - 16 : _SIZE - 16 + len(_RESET)] = _RESET
    return bytes(image)


def boots(emulator: Emulator, acceleration: str) -> bool:
    """Whether a machine runs its first instructions with ``kvm`` or ``tcg``."""
    with tempfile.TemporaryDirectory(prefix="hypersdk-") as folder:
        image, report = Path(folder, "firmware"), Path(folder, "report")
        with native("probe the acceleration"):
            image.write_bytes(firmware())
        command = [emulator.program, "-nodefaults", "-no-user-config", "-display", "none"]
        command += ["-machine", "q35", "-accel", acceleration, "-cpu", PROCESSORS[acceleration]]
        command += ["-m", "32", "-no-reboot", "-bios", str(image), "-debugcon", f"file:{report}"]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        with suppress(subprocess.TimeoutExpired), native(f"run {emulator.program}"):
            subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
            )
        return report.exists() and report.read_bytes() == _LETTER


def has_kvm(root: Path, emulator: Emulator) -> bool:
    """Whether guests can use KVM; asked once for each boot of the host."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    asked = {
        "boot": boot_id(),
        "program": emulator.program,
        "version": emulator.version_text,
        "user": os.geteuid(),
    }
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads((root / "kvm.json").read_text())
        if known["asked"] == asked:
            return bool(known["boots"])
    found = boots(emulator, "kvm")
    with suppress(OSError):  # the folder is not there yet: asked again next time
        replace_file(root / "kvm.json", json.dumps({"asked": asked, "boots": found}).encode())
    return found


def best(root: Path, emulator: Emulator) -> str:
    """``kvm`` where it works, else ``tcg``."""
    return "kvm" if has_kvm(root, emulator) else "tcg"
