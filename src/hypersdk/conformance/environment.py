"""What a run was made on. Facts about the machine and versions; nothing secret."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hypersdk.model.units import format_size


def environment() -> dict[str, str]:
    """Facts by name, ready to print; ``unknown`` for what the machine does not say."""
    return {
        "hypersdk": _version("hypersdk"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": _field("/etc/os-release", "PRETTY_NAME", "="),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _field("/proc/cpuinfo", "model name"),
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": _size(_field("/proc/meminfo", "MemTotal")),
        "memory available": _size(_field("/proc/meminfo", "MemAvailable")),
        "load": f"{os.getloadavg()[0]:.1f} in the last minute",
        "kvm": "/dev/kvm can be opened" if _opens("/dev/kvm") else "no",
        "user": "root" if os.geteuid() == 0 else "not root",
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _field(path: str, name: str, separator: str = ":") -> str:
    """The value of ``name`` in a file of ``name: value`` lines."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    for line in lines:
        key, found, value = line.partition(separator)
        if found and key.strip() == name:
            return value.strip().strip('"')
    return "unknown"


def _size(kibibytes: str) -> str:
    """``8123456 kB`` of /proc/meminfo in words."""
    number = kibibytes.partition(" ")[0]
    return format_size(int(number) * 1024) if number.isdigit() else kibibytes


def _opens(path: str) -> bool:
    """A device node that is there says little: it is opened."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
