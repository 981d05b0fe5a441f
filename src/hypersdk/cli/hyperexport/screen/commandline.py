"""The command that does the same as what was chosen on the screen."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hypersdk.cli.hyperexport.screen.port import Choices, Row

_PROGRAM = "hyperexport"


def command(
    rows: Sequence[Row], choices: Choices, folders: Mapping[tuple[str, str], str], *more: str
) -> str:
    """For instances of one hypervisor. Only what differs from the command's defaults is named.

    ``folders``: key of a row → folder of its files. The command makes folders for each instance
    only when there are several.
    """
    hypervisor = rows[0].hypervisor
    words = [_PROGRAM, "-H", hypervisor]
    for row in rows:
        words += ["--vm", row.instance.name]
    output = folders.get(rows[0].key, choices.output)
    if len(rows) > 1 and rows[0].key in folders:
        output = str(Path(output).parent)
    words += _options(replace(choices, output=output))
    return shlex.join([*words, *more])


def _options(choices: Choices) -> list[str]:
    if choices.profile:
        words = ["--profile", choices.profile]
        usual = Choices().with_profile(choices.profile, choices.preset)
    else:
        words, usual = [], Choices()
    words += ["--output", choices.output]
    for name in ("format", "parallel", "upload"):
        value = getattr(choices, name)
        if value != getattr(usual, name):
            words += [f"--{name}", str(value)]
    for name in ("compress", "verify", "manifest", "power_off", "keep_local"):
        value = getattr(choices, name)
        if value != getattr(usual, name):
            dashed = name.replace("_", "-")
            words.append(f"--{dashed}" if value else f"--no-{dashed}")
    if choices.recipients != usual.recipients:
        words.append("--encrypt")
        for key in choices.recipients:
            words += ["--recipient", key]
    words += [f"--{name}" for name in ("overwrite", "force") if getattr(choices, name)]
    return words
