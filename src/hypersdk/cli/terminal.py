"""The streams of one run of a command, and everything that is written on them.

Results go to stdout: a table or lines for a person, or one JSON document with ``--json``.
Progress, notes and errors go to stderr, so that stdout can always be piped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy

from hypersdk.cli.tables import Table, printable

if TYPE_CHECKING:
    from hypersdk.config.settings import Settings

#: What a command says about its result; ends up in one JSON object.
Document = dict[str, object]


def indented(document: Document) -> str:
    """JSON for people and programs."""
    return json.dumps(document, indent=2)


@dataclass
class Terminal:
    """Handed to every command through click's context object."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environment: Mapping[str, str]
    #: One JSON document on stdout instead of tables and lines.
    json: bool = False
    #: No progress and no notes on stderr; errors remain.
    quiet: bool = False
    #: Tracebacks of unexpected errors.
    debug: bool = False
    #: How the document is written.
    dump: Callable[[Document], str] = indented
    _document: Document = field(default_factory=dict)

    @cached_property
    def out(self) -> Console:
        """Plain text of any width when stdout is not a terminal."""
        return Console(file=self.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @cached_property
    def err(self) -> Console:
        return Console(file=self.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @cached_property
    def settings(self) -> Settings:
        """What the user set in the environment or the settings file. Raises InvalidInput."""
        from hypersdk.config.settings import load_settings  # noqa: PLC0415 - slow to import

        return load_settings()

    @property
    def interactive(self) -> bool:
        """True when a person can be asked."""
        return self.stdin.isatty() and self.stderr.isatty()

    def configure_log(self) -> None:
        """Warnings of the work below go to stderr, more or less of them as asked."""
        from hypersdk.observe.log import configure_logging  # noqa: PLC0415 - slow to import

        level = self.settings.log_level
        if self.quiet:
            level = "error"
        # Through the console, which knows where bars are drawn.
        stream = cast("TextIO", FileProxy(self.err, self.stderr))
        configure_logging("debug" if self.debug else level, stream=stream)

    def result(self, document: Document) -> None:
        """Add to the JSON document; printed once, when the command has ended."""
        self._document.update(document)

    def line(self, text: str = "", style: str = "") -> None:
        """A line of the result for a person. ``style`` is rich's; it shows on a terminal only."""
        if not self.json:
            self.out.print(printable(text), style=style)

    def table(self, table: Table) -> None:
        """A table of the result for a person: drawn on a terminal, aligned text elsewhere."""
        if self.json:
            return
        if self.out.is_terminal:
            self.out.print(table.drawn(self.out.width))
        else:
            self.out.print(table.plain())

    def note(self, text: str) -> None:
        """Something to know, on stderr."""
        if not self.quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Lines about an error, on stderr, also with ``--quiet``."""
        for line in text.splitlines():
            self.err.print(printable(line))

    def finish(self, error: Document | None = None) -> None:
        """Print the JSON document, with ``error`` in it when the command failed."""
        if self.json:
            if error is not None:
                self._document["error"] = error
            self.stdout.write(self.dump(self._document) + "\n")
        self.stdout.flush()
