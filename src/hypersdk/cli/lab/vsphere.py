"""``hypersdk lab vsphere``"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk.cli.command import Command
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.lab.build import built
from hypersdk.cli.lab.machines import machines
from hypersdk.cli.lab.process import LabProcess, Ready
from hypersdk.cli.parameters import PATH
from hypersdk.cli.terminal import Terminal

#: Of the lab only, which listens on this machine only.
_PASSWORD = "lab"  # noqa: S105 - it is in the documentation
#: Seconds between two looks at whether Ctrl-C came.
_WATCH = 0.2


@dataclass(frozen=True, slots=True)
class Options:
    port: int
    vms: int
    esx: bool
    folder: Path | None


@click.command("vsphere", cls=Command)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8989,
    show_default=True,
    help="Of HTTPS on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--vms",
    type=click.IntRange(0, 1000),
    default=3,
    show_default=True,
    help="Virtual machines with real disks.",
)
@click.option("--esx", is_flag=True, help="One ESXi host instead of a vCenter with two.")
@click.option("--folder", type=PATH, help="Where disks are kept.  [default: a temporary one]")
@click.pass_obj
def vsphere(terminal: Terminal, /, **given: Any) -> None:
    """Run a vCenter to try things on, until Ctrl-C.

    It is VMware's own simulator, with what that lacks for exports, backups and imports: disks with
    real bytes, changed blocks, leases, and faults on demand. Needs no hardware and no licence.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    terminal.note("Building the lab; the first time takes some minutes.")
    program = built("vsphere-lab", ".", terminal.settings.cache_dir / "lab")
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with (
        cancelling(terminal) as cancel,
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        LabProcess(program, _flags(options, folder)) as lab,
    ):
        for machine in machines(options.vms, Path(folder)):
            lab.add(machine)
        _announce(terminal, lab.ready)
        while not cancel.cancelled:
            lab.watch(_WATCH)
    terminal.note("The lab has ended.")


def _flags(options: Options, folder: str) -> list[str]:
    flags = ["-listen", f"127.0.0.1:{options.port}", "-folder", folder]
    return [*flags, "-esx"] if options.esx else flags


def _announce(terminal: Terminal, ready: Ready) -> None:
    """A program must not wait for the end of the lab to read where it is."""
    if terminal.json:
        terminal.stdout.write(terminal.dump(_document(ready)) + "\n")
        terminal.stdout.flush()
        terminal.json = False  # nothing is left to say at the end
        return
    terminal.line(f"vSphere is at {ready.url}; it ends with Ctrl-C. In another terminal:")
    terminal.line()
    for name, value in _environment(ready).items():
        terminal.line(f"  export {name}={value}")
    terminal.line()
    for words in _suggestions(ready):
        terminal.line(f"  {words}")
    terminal.stdout.flush()


def _document(ready: Ready) -> dict[str, object]:
    return {
        "url": ready.address,
        "sdk": ready.url,
        "control": ready.control,
        "fingerprint": ready.fingerprint,
        "user": ready.user,
        "datacenter": ready.datacenter,
        "environment": _environment(ready),
    }


def _environment(ready: Ready) -> dict[str, str]:
    """What govc understands, and our driver too. The URL of the driver needs no GOVC_INSECURE."""
    return {
        "GOVC_URL": ready.url,
        "GOVC_USERNAME": ready.user,
        "GOVC_PASSWORD": _PASSWORD,
        "GOVC_INSECURE": "1",
        "LAB": f"'{ready.address}'",
    }


def _suggestions(ready: Ready) -> list[str]:
    return [
        'hypersdk fleet list -H "$LAB"',
        "hyperexport --help",
        f"curl {ready.control}/state",
        f"""curl {ready.control}/faults -d '{{"kind": "drop_stream", "at": 1000000}}'""",
    ]
