"""Without an instance, on a terminal: the screen to choose on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from hypersdk import InvalidInput, MissingRequirement
from hypersdk.cli.hyperexport import show
from hypersdk.cli.hyperexport.options.source import Source
from hypersdk.cli.hyperexport.options.values import Given
from hypersdk.cli.hyperexport.outcomes import Outcome, raise_failures
from hypersdk.cli.terminal import Terminal


def work(
    terminal: Terminal, given: Given, where: Source
) -> Callable[[Callable[[], datetime]], None]:
    """Raises InvalidInput where nobody can choose."""
    if terminal.json or not (terminal.interactive and terminal.stdout.isatty()):
        raise InvalidInput(
            "no instance was named",
            hint="Name it: hyperexport web. Or choose with --batch FILE, --filter KEY=VALUE "
            "or --folder TEXT; on a terminal there is a screen to choose on.",
        )
    return lambda _: run(terminal, given, where)


def run(terminal: Terminal, given: Given, where: Source) -> None:
    """Raises what failed, as after a batch; MissingRequirement without textual."""
    try:
        from hypersdk.cli.hyperexport.screen.app import run_screen  # noqa: PLC0415 - an extra
        from hypersdk.cli.hyperexport.screenport import Port, choices  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            f"the screen needs a library that is missing: {error.name}",
            hint="Install it with: pip install 'hypersdk[export]', or name the instances.",
        ) from error
    with Port(terminal, given, where) as port:
        found = run_screen(port, choices(given))
    outcomes = [
        Outcome(
            name=each.row.instance.name,
            place=each.place,
            size=each.size,
            seconds=each.seconds,
            error=each.error,
        )
        for each in found
    ]
    if outcomes:
        show.summary(terminal, outcomes)
    raise_failures(outcomes)
