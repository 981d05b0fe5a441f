"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from bench.contender import Contender
from bench.image import Image

GIB = 1 << 30


def machine_facts(image: Image, contenders: Sequence[Contender]) -> dict[str, str]:
    """Facts by name, ready to print."""
    return {
        **host_facts(),
        "filesystem of image, repositories and restored disks": image.place,
        "image": image_facts(image),
        **{contender.name: contender.version for contender in contenders if contender.version},
    }


def host_facts() -> dict[str, str]:
    """Those that hold for every run on this machine."""
    return {
        "processor": f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) * 1024 / GIB:.1f} GiB",
        "system": f"{_field('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release()}",
        "python": platform.python_version(),
    }


def available_memory() -> int:
    """Bytes that programs could still have, page cache given back included."""
    return int(_field("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def image_facts(image: Image) -> str:
    """One sentence about the image."""
    parts = [
        f"{image.system / GIB:.2f} GiB programs and libraries",
        f"{image.documentation / GIB:.2f} GiB documentation",
        f"{image.random / GIB:.2f} GiB random",
    ]
    if image.varied:
        parts.append(f"{image.varied / GIB:.2f} GiB system files with exchanged byte values")
    return (
        f"{image.virtual / GIB:.2f} GiB virtual, {image.allocated / GIB:.2f} GiB allocated, ext4, "
        f"{image.files} files: {', '.join(parts)}"
    )


def _field(path: str, name: str, separator: str = ":") -> str:
    """The value of ``name`` in a file of ``name: value`` lines; ``unknown`` without it."""
    try:
        lines = Path(path).read_text().splitlines()
    except FileNotFoundError:
        return "unknown"
    for line in lines:
        key, found, value = line.partition(separator)
        if found and key.strip() == name:
            return value.strip().strip('"')
    return "unknown"
