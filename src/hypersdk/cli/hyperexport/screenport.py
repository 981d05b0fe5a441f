"""The screen's way to the hypervisors that the line names: `screen.port`, made of the same parts as
exports without a screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
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
from hypersdk.cli.hyperexport.names import sanitized
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

#: Rows of the first page, which fill a screen, and of each further one.
_FIRST_PAGE = 50
_PAGE = 200


class Port:
    """A `ScreenPort` for the hypervisors that were named. Each is connected to when it is first
    needed, from a thread of the screen; a context manager that ends the connections."""

    def __init__(self, terminal: Terminal, given: Given, where: Source) -> None:
        self._terminal = terminal
        self._given = given
        self._links: dict[str, _Link] = {}
        for named in (where.hypervisor, *where.others):
            source = replace(where, hypervisor=named, others=())
            url = address(source, terminal.settings.hypervisors, terminal.environment)
            self._links[named or url] = _Link(terminal, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for link in self._links.values():
            link.close()

    @property
    def hypervisors(self) -> Sequence[str]:
        return tuple(self._links)

    def pages(self) -> Iterator[Page]:
        """Of all hypervisors as they come: one that does not answer holds no other up."""
        arrived: SimpleQueue[Page | None] = SimpleQueue()

        def work(name: str) -> None:
            try:
                for page in self._listed(name):
                    arrived.put(page)
            finally:
                arrived.put(None)

        for name in self._links:
            context = copy_context()
            threading.Thread(
                target=context.run, args=(work, name), name=f"list {name}", daemon=True
            ).start()
        left = len(self._links)
        while left:
            page = arrived.get()
            if page is None:
                left -= 1
            else:
                yield page

    def _listed(self, name: str) -> Iterator[Page]:
        rows: list[Row] = []
        wanted = _FIRST_PAGE
        try:
            hypervisor = self._links[name].hypervisor()
            if hypervisor.inventory is None:
                raise NotSupported(f"{hypervisor.url} does not list its instances")
            for instance in hypervisor.inventory.instances():
                rows.append(Row(name, instance))
                if len(rows) == wanted:
                    yield Page(tuple(rows))
                    rows, wanted = [], _PAGE
        except HyperSDKError as error:
            yield Page(tuple(rows), f"{name}: {error.message}")
        else:
            yield Page(tuple(rows))

    def details(self, row: Row) -> InstanceDetails:
        return details_of(self._of(row), row.instance.name)

    def plan(self, row: Row, choices: Choices) -> Planned:
        name = row.instance.name
        try:
            options = self._options(choices, row.hypervisor)
            found = check_export(self._of(row), name, options.destination(name))
            plan = plan_export(
                self._of(row), name, options.folder(name), options.settings(self._terminal)
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
        for name in self._links:  # one hypervisor after another, several instances at a time
            chosen = [row for row in rows if row.hypervisor == name]
            if not chosen:
                continue
            try:
                self._export(name, _Selection(chosen, reporter, settled), choices, cancel)
            except HyperSDKError as error:
                for row in chosen:
                    settled(Outcome(row=row, error=error))

    def _export(
        self, name: str, selection: _Selection, choices: Choices, cancel: CancelToken
    ) -> None:
        options = self._options(choices, name)
        settings = options.settings(self._terminal)
        hypervisor = self._links[name].hypervisor()
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

    def _options(self, choices: Choices, hypervisor: str) -> exporting.Options:
        """What the line said, with what was chosen laid over it. Raises InvalidInput.

        Of several hypervisors each gets a folder: instances of two may have one name.
        """
        output = Path(choices.output)
        if len(self._links) > 1:
            output /= sanitized(hypervisor)
        given = {**self._given, **choices.values(), "output": output}
        source = replace(
            self._links[hypervisor].source,
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

    def _of(self, row: Row) -> Hypervisor:
        return self._links[row.hypervisor].hypervisor()


class _Link:
    """The connection to one hypervisor, made when it is first asked for."""

    def __init__(self, terminal: Terminal, source: Source) -> None:
        self.source = source
        self._terminal = terminal
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._hypervisor: Hypervisor | None = None

    def hypervisor(self) -> Hypervisor:
        """Raises HyperSDKError."""
        with self._lock:
            if self._hypervisor is None:
                self._hypervisor = self._opened.enter_context(
                    connected(self._terminal, self.source)
                )
            return self._hypervisor

    def close(self) -> None:
        """End it."""
        self._opened.close()


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
