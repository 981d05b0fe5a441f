"""All options of the command, in the order of its help."""

from __future__ import annotations

from typing import Any

from hypersdk.cli.hyperexport.options import (
    daemon,
    files,
    handover,
    keeping,
    modes,
    notices,
    reading,
    repository,
    sealing,
    source,
)
from hypersdk.cli.hyperexport.options.values import add

#: Heading → options below it.
SUBJECTS = {
    "What to export": source.OPTIONS,
    "What to do": modes.OPTIONS,
    "Files": files.OPTIONS,
    "Encryption": sealing.OPTIONS,
    "Reading": reading.OPTIONS,
    "Repositories": repository.OPTIONS,
    "Profiles, history, cleanup": keeping.OPTIONS,
    "Telling others": notices.OPTIONS,
    "Handing over": handover.OPTIONS,
    "The daemon": daemon.OPTIONS,
    "Output": modes.OUTPUT,
}


def all_options(function: Any) -> Any:
    """Adds every option to the command."""
    return add(function, tuple(option for group in SUBJECTS.values() for option in group))
