"""The lab's programs for tests, built once for each state of their sources."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from hypersdk.cli.lab.build import built
from hypersdk.model.errors import MissingRequirement
from tests.components import missing


def lab_program() -> Path:
    """The lab; the test is skipped where it cannot be built."""
    return _built("vsphere-lab", ".")


def govc_program() -> Path:
    """VMware's own command, from the module that the lab is pinned to."""
    return _built("govc", "./govc")


def _built(name: str, package: str) -> Path:
    try:
        return built(name, package, platformdirs.user_cache_path("hypersdk") / "lab")
    except MissingRequirement as error:
        missing(str(error))
