"""``vmsnap --restore``"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from hypersdk import Interrupted
from hypersdk.cli import records, words
from hypersdk.cli.destinations import Destination
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.progress import watching
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap import places
from hypersdk.cli.vmsnap.exits import OutputRefused
from hypersdk.cli.vmsnap.places import Place


@dataclass(frozen=True, slots=True)
class Options:
    #: ``DOMAIN``, ``DOMAIN@TIME`` or an id.
    reference: str
    #: Folder for the images; None: where they were.
    to: Path | None
    place: Place
    destination: Destination


def run(terminal: Terminal, options: Options) -> None:
    """Raises PointNotFound, AlreadyExists, Damaged, OutputRefused, Interrupted."""
    if options.to is not None:
        try:
            options.to.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputRefused(f"{options.to} cannot be made: {error.strerror}") from error
    with contextlib.ExitStack() as stack:
        repositories = places.existing(terminal, options.place)
        stack.callback(places.close_all, repositories)
        repository, point = places.find(repositories, options.reference)
        with cancelling(terminal) as cancel, watching(terminal) as watch:
            try:
                outcome = options.destination.restore(repository, point, watch, cancel)
            except Interrupted as error:
                raise Interrupted(
                    f"the restore of {point.instance} was interrupted",
                    hint="Unfinished files were removed.",
                ) from error
    terminal.result({"point": records.point(point), **outcome.document})
    terminal.line(f"{point.instance} as of {words.moment(point.time)}:")
    for disk in outcome.disks:
        terminal.line(f"  {disk.disk}: {disk.path}, {words.size(disk.size)}")
    for line in outcome.lines:
        terminal.line(line)
