"""``hypersdk restore``"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from hypersdk import (
    BootTestOptions,
    Interrupted,
    InvalidInput,
    Placement,
    ProvisionOptions,
    RestoreOptions,
    Sign,
)
from hypersdk.cli import records
from hypersdk.cli.command import Command
from hypersdk.cli.destinations import Destination, Files, NewInstance, SameInstance, Trial
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.keys import Unlock, key_options, repository_option
from hypersdk.cli.parameters import DURATION, NAMES, PATH, RATE, SIGN, Words
from hypersdk.cli.progress import watching
from hypersdk.cli.terminal import Terminal

FORMATS = ("raw", "qcow2", "vmdk", "vhdx", "vdi")


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    point: str
    destination: Destination
    unlock: Unlock


@click.command("restore", cls=Command)
@repository_option
@click.argument("point")
@click.option("--to", type=PATH, help="To a file; a folder for several disks.")
@click.option("--disk", metavar="NAME", help="Only this disk.")
@click.option("--format", type=Words(FORMATS), help="Of the file.  [default: raw]")
@click.option("--overwrite", is_flag=True, help="Replace files and instances that are there.")
@click.option("--to-hypervisor", metavar="URL", help="As an instance: libvirt+qemu:///system")
@click.option("--as", "name", metavar="NAME", help="Name of the instance.  [default: as it was]")
@click.option("--start", is_flag=True, help="Start the instance.")
@click.option("--pool", metavar="POOL", help="Storage pool for its disks.")
@click.option(
    "--dir", "folder", type=PATH, help="Folder for its disks.  [default: where they were]"
)
@click.option(
    "--keep-mac/--new-mac", default=None, help="MAC addresses: the old ones, or new ones."
)
@click.option(
    "--map-network", type=NAMES, multiple=True, help="A network or bridge that is called otherwise."
)
@click.option("--in-place", is_flag=True, help="Put the stopped instance itself back.")
@click.option("--test-boot", is_flag=True, help="Boot it without any network, watch, remove it.")
@click.option("--wait-for", type=SIGN, help="agent, screen or serial:TEXT.  [default: agent]")
@click.option("--timeout", type=DURATION, help="For the test boot.  [default: 5m]")
@click.option("--screenshot", type=PATH, metavar="FILE", help="Keep the last screen as PNG.")
@click.option("--keep", is_flag=True, help="Let the booted instance run on.")
@click.option("--throttle", type=RATE, metavar="RATE", help="Write at most this much: 100MiB/s.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Threads.  [default: one per core]"
)
@key_options
@click.pass_obj
def restore(
    terminal: Terminal, /, repo: str, point: str, unlock: Unlock, workers: int | None, **given: Any
) -> None:
    """Bring a restore point back: to files, as an instance, or in place.

    \b
    hypersdk restore web --to web.qcow2 --format qcow2
    hypersdk restore web --to-hypervisor libvirt+qemu:///system --as web2 --start
    hypersdk restore web@2026-11-21 --to-hypervisor libvirt+qemu:///system --in-place
    hypersdk restore web --to-hypervisor libvirt+qemu:///system --test-boot

    POINT is NAME (the latest), NAME@2026-11-21T02:00 (the last one before), an id or the beginning
    of one. Every chunk is compared with its id on the way; what fails leaves nothing behind.
    """
    typed = Given(workers=workers or terminal.settings.workers, **given)
    run(terminal, Options(repo, point, typed.destination(), unlock))


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The options of the command, as they were typed."""

    to: Path | None
    disk: str | None
    format: str | None
    overwrite: bool
    to_hypervisor: str | None
    name: str | None
    start: bool
    pool: str | None
    folder: Path | None
    keep_mac: bool | None
    map_network: tuple[tuple[str, str], ...]
    in_place: bool
    test_boot: bool
    wait_for: tuple[str, str] | None
    timeout: timedelta | None
    screenshot: Path | None
    keep: bool
    throttle: int | None
    workers: int | None

    def destination(self) -> Destination:
        """Raises InvalidInput for options that contradict each other or would do nothing."""
        self._check()
        if self.to is not None:
            return Files(self.to, self.disk, self._copying())
        url = str(self.to_hypervisor)
        if self.in_place:
            return SameInstance(url, self.name or "", self._copying())
        if self.test_boot:
            return Trial(url, self._watching(), self.screenshot)
        return NewInstance(
            url,
            ProvisionOptions(
                placement=self._placement(),
                start=self.start,
                throttle=self.throttle,
                workers=self.workers,
            ),
        )

    def _copying(self) -> RestoreOptions:
        return RestoreOptions(
            format=self.format or "raw",
            overwrite=self.overwrite,
            throttle=self.throttle,
            workers=self.workers,
        )

    def _placement(self) -> Placement:
        return Placement(
            name=self.name or "",
            new_macs=None if self.keep_mac is None else not self.keep_mac,
            pool=self.pool or "",
            folder=str(self.folder or ""),
            networks=dict(self.map_network),
            overwrite=self.overwrite,
        )

    def _watching(self) -> BootTestOptions:
        sign, text = self.wait_for or (Sign.AGENT.value, "")
        usual = BootTestOptions()
        return BootTestOptions(
            sign=Sign(sign),
            text=text,
            timeout=self.timeout.total_seconds() if self.timeout else usual.timeout,
            placement=self._placement(),
            keep=self.keep,
        )

    def _check(self) -> None:
        if (self.to is None) == (self.to_hypervisor is None):
            raise InvalidInput(
                "say where to restore to, once",
                hint="Give --to PATH for files, or --to-hypervisor URL for an instance.",
            )
        if self.in_place and self.test_boot:
            raise InvalidInput("--in-place and --test-boot exclude each other")
        files, trial = self.to is not None, self.test_boot
        defining = not (files or trial or self.in_place)
        macs = self.keep_mac is not None
        _refuse_unless(files, {"--disk": self.disk, "--format": self.format})
        _refuse_unless(
            not files, {"--as": self.name, "--in-place": self.in_place, "--test-boot": trial}
        )
        _refuse_unless(defining, {"--start": self.start, "--keep-mac or --new-mac": macs})
        _refuse_unless(files or defining, {"--overwrite": self.overwrite})
        _refuse_unless(
            defining or trial,
            {"--pool": self.pool, "--dir": self.folder, "--map-network": self.map_network},
        )
        _refuse_unless(
            trial,
            {
                "--wait-for": self.wait_for,
                "--timeout": self.timeout,
                "--screenshot": self.screenshot,
                "--keep": self.keep,
            },
        )


def _refuse_unless(meant: bool, given: dict[str, object]) -> None:
    """An option that would do nothing is a mistake of whoever wrote it."""
    wrong = [option for option, value in given.items() if value]
    if wrong and not meant:
        raise InvalidInput(
            f"{', '.join(wrong)} does nothing here",
            hint="See which options go together: hypersdk restore --help",
        )


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        point = repository.find(options.point)
        with cancelling(terminal) as cancel, watching(terminal) as watch:
            try:
                outcome = options.destination.restore(repository, point, watch, cancel)
            except Interrupted as error:
                raise Interrupted(
                    f"the restore of {point.instance} was interrupted",
                    hint="Unfinished files were removed.",
                ) from error
    terminal.result({"point": records.point(point)})
    outcome.show(terminal)
