"""``hypersdk doctor``"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import click

from hypersdk import InvalidInput, MissingRequirement, connect, reap_imports
from hypersdk.cli.checks import Check, State, examine
from hypersdk.cli.command import Command
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal

DEFAULT_HYPERVISOR = "libvirt+qemu:///system"


@dataclass(frozen=True, slots=True)
class Options:
    reap: bool
    hypervisors: tuple[str, ...]
    dry_run: bool


@click.command("doctor", cls=Command)
@click.option("--reap", is_flag=True, help="Clean up what killed runs left, instead.")
@click.option(
    "-H",
    "--hypervisor",
    "hypervisors",
    multiple=True,
    metavar="URL",
    help=f"Where to clean up.  [default: {DEFAULT_HYPERVISOR}]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be cleaned up.")
@click.pass_obj
def doctor(terminal: Terminal, /, **given: Any) -> None:
    """Check what is installed and works.

    Says what each missing thing would give, and the command that installs it. Ends with 4 when
    something that every backup needs is missing.

    With --reap it ends backup jobs of runs that were killed, thaws filesystems that they froze,
    and removes their scratch files, and instances that a killed import left half written. Runs
    that are alive are not touched.
    """
    options = Options(**given)
    if options.reap:
        clean_up(terminal, options)
    elif options.hypervisors or options.dry_run:
        raise InvalidInput("--hypervisor and --dry-run go with --reap")
    else:
        run(terminal)


def clean_up(terminal: Terminal, options: Options) -> None:
    done: list[str] = []
    for url in options.hypervisors or (DEFAULT_HYPERVISOR,):
        hypervisor = connect(url)
        try:
            done += reap_imports(hypervisor, dry_run=options.dry_run)
            if hypervisor.leftovers is not None:
                done += hypervisor.leftovers.reap(dry_run=options.dry_run)
        finally:
            hypervisor.close()
    terminal.result({"reaped": done, "dry_run": options.dry_run})
    for line in done:
        terminal.line(line)
    if not done:
        terminal.line("Nothing was left behind.")


def run(terminal: Terminal) -> None:
    checks = examine(terminal)
    terminal.result({"checks": [{**asdict(each), "state": each.state.value} for each in checks]})
    _show(terminal, checks)
    broken = [each.name for each in checks if each.needed and each.state is not State.WORKS]
    if broken:
        raise MissingRequirement(
            f"needed and not working: {', '.join(broken)}",
            hint="The table says how to install each.",
        )


def _show(terminal: Terminal, checks: list[Check]) -> None:
    table = Table(
        (*left("WHAT", "STATE"), Column("FOUND", fold=True), Column("GIVES", fold=True)),
        [(each.name, each.state.value, each.found, each.gives) for each in checks],
    )
    terminal.table(table)
    lacking = [each for each in checks if each.state is not State.WORKS]
    if not lacking:
        terminal.line("Everything works.")
        return
    terminal.line()
    for each in lacking:
        terminal.line(f"{each.name}: {'needed' if each.needed else 'optional'}; {each.install}")
