"""What must be installed, said before anything begins."""

from __future__ import annotations

import shutil

from hypersdk import MissingRequirement
from hypersdk.cli.checks import Missing, libnbd, package


def look_at_images() -> None:
    """For status and scrubbing. Raises MissingRequirement."""
    _require("qemu-img")


def read_disks() -> None:
    """For backups. Raises MissingRequirement."""
    _require("qemu-img", "qemu-nbd")
    try:
        libnbd()
    except Missing as error:
        raise MissingRequirement(
            f"libnbd is needed and not installed: {error}",
            hint=f"Install it with: {package('libnbd0', 'libnbd')}",
        ) from error


def _require(*programs: str) -> None:
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        raise MissingRequirement(
            f"not found on PATH: {', '.join(absent)}",
            hint=f"Install with: {package('qemu-utils', 'qemu-img')}",
        )
