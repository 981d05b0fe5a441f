"""The screen's way to the hypervisor that the line names: `screen.port`, made of the same parts as
exports without a screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from hypersdk import (
    BatchItem,
    CancelToken,
    HyperSDKError,
    Hypervisor,
    InstanceDetails,
    Interrupted,
    InvalidInput,
    NotSupported,
    Progress,
    check_export,
    details_of,
    export_batch,
    plan_export,
)
from hypersdk.cli.hyperexport import export as exporting
from hypersdk.cli.hyperexport import listeners, outcomes
from hypersdk.cli.hyperexport.connecting import address, connected
from hypersdk.cli.hyperexport.options.source import Source
from hypersdk.cli.hyperexport.options.values import Given
from hypersdk.cli.hyperexport.screen.port import (
    Choices,
    Outcome,
    Page,
    Planned,
    Row,
    RowReporter,
    Settled,
)
from hypersdk.cli.terminal import Terminal
from hypersdk.config import profiles

#: Rows of a page.
_PAGE = 200


class Port:
    """A `ScreenPort` for one hypervisor. Connected to when it is first needed, from a thread of the
    screen; a context manager that ends the connection."""

    def __init__(self, terminal: Terminal, given: Given, where: Source) -> None:
        self._terminal = terminal
        self._given = given
        self._where = where
        self._name = address(where, terminal.settings.hypervisors, terminal.environment)
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._hypervisor: Hypervisor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def hypervisors(self) -> Sequence[str]:
        return (self._where.hypervisor or self._name,)

    def pages(self) -> Iterator[Page]:
        name = self.hypervisors[0]
        rows: list[Row] = []
        try:
            hypervisor = self._connected()
            if hypervisor.inventory is None:
                raise NotSupported(f"{hypervisor.url} does not list its instances")
            for instance in hypervisor.inventory.instances():
                rows.append(Row(name, instance))
                if len(rows) == _PAGE:
                    yield Page(tuple(rows))
                    rows = []
        except HyperSDKError as error:
            yield Page(tuple(rows), f"{name}: {error.message}")
        else:
            yield Page(tuple(rows))

    def details(self, row: Row) -> InstanceDetails:
        return details_of(self._connected(), row.instance.name)

    def plan(self, row: Row, choices: Choices) -> Planned:
        name = row.instance.name
        try:
            options = self._options(choices)
            found = check_export(self._connected(), name, options.destination(name))
            plan = plan_export(
                self._connected(), name, options.folder(name), options.settings(self._terminal)
            )
        except HyperSDKError as error:
            return Planned(row=row, error=error)
        return Planned(
            row=row,
            folder=str(plan.folder),
            size=plan.size,
            to_read=plan.to_read,
            room_needed=plan.room_needed,
            room_free=plan.room_free,
            reading=plan.reading,
            concerns=found.concerns,
        )

    def profiles(self) -> Mapping[str, Mapping[str, Any]]:
        titles = {name: title for title, name in profiles.TEMPLATES.items()}
        return {
            titles.get(each.name, each.name): each.settings() for each in profiles.list_profiles()
        }

    def export(
        self,
        rows: Sequence[Row],
        choices: Choices,
        reporter: RowReporter,
        settled: Settled,
        cancel: CancelToken,
    ) -> None:
        try:
            self._export(_Selection(rows, reporter, settled), choices, cancel)
        except HyperSDKError as error:
            for row in rows:
                settled(Outcome(row=row, error=error))

    def _export(self, selection: _Selection, choices: Choices, cancel: CancelToken) -> None:
        options = self._options(choices)
        settings = options.settings(self._terminal)
        hypervisor = self._connected()
        folder = options.files.output or exporting.SEVERAL
        journal = outcomes.Journal(
            outcomes.Run(
                names=tuple(selection.names),
                hypervisor=hypervisor.url,
                format=settings.format,
                place=settings.upload or str(folder),
            ),
            listeners.all_of(self._terminal, options.telling),
        )
        report = export_batch(
            hypervisor,
            list(selection.names),
            folder,
            options=settings,
            limits=options.files.limits,
            reporter=selection.progress,
            cancel=cancel,
            settled=selection.settle,
        )
        for item in report.items:
            selection.settle(item)
            journal.settled(exporting.outcome_of(item, settings))
        journal.tell_end()

    def _options(self, choices: Choices) -> exporting.Options:
        """What the line said, with what was chosen laid over it. Raises InvalidInput."""
        given = {**self._given, **choices.values(), "output": Path(choices.output)}
        source = Source(
            hypervisor=self._where.hypervisor,
            provider=self._where.provider,
            names=(),
            batch=Path(),  # whatever was chosen, each gets a folder of its own
            filters={},
            folder="",
        )
        options = exporting.options(given, source)
        if options.handover.wanted:
            raise InvalidInput(
                "the screen hands nothing over", hint="Name the instances on the command line."
            )
        sealing = options.sealing
        if sealing.encrypt and not (sealing.recipients or sealing.passphrase or sealing.keyfile):
            raise InvalidInput(
                "nothing says who shall be able to decrypt",
                hint="Begin with: hyperexport --recipient KEY, or --passphrase-from env:NAME",
            )
        return options

    def _connected(self) -> Hypervisor:
        with self._lock:
            if self._hypervisor is None:
                self._hypervisor = self._opened.enter_context(
                    connected(self._terminal, self._where)
                )
            return self._hypervisor


def choices(given: Given) -> Choices:
    """What the line said already."""
    own = {
        name: given[name]
        for name in Choices.__dataclass_fields__
        if name in given and name not in ("output", "upload", "profile")
    }
    return Choices(
        output=str(given["output"] or exporting.SEVERAL),
        upload=given["upload"] or "",
        profile=given["profile"] or "",
        **own,
    )


class _Selection:
    """The rows of one export, found again by the names of instances."""

    def __init__(self, rows: Sequence[Row], reporter: RowReporter, settled: Settled) -> None:
        self._rows = {row.instance.name: row for row in rows}
        self._reporter = reporter
        self._settled = settled
        self._done: set[str] = set()

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._rows)

    def progress(self, progress: Progress) -> None:
        """Tasks are called ``INSTANCE/DISK``; a name may hold a slash itself."""
        for name, row in self._rows.items():
            if progress.task == name or progress.task.startswith(f"{name}/"):
                self._reporter(row, progress)
                return

    def settle(self, item: BatchItem) -> None:
        """Tell of it, once."""
        if item.name in self._done:
            return
        self._done.add(item.name)
        exported = item.exported
        error = item.error
        if exported is None and error is None:
            error = Interrupted(f"{item.name} was not begun")
        place = "" if exported is None else exported.uploaded or str(exported.folder)
        self._settled(
            Outcome(
                row=self._rows[item.name],
                place=place,
                size=exported.size if exported else 0,
                seconds=item.seconds,
                error=error,
            )
        )
