"""Results as JSON or YAML; as text, each command has its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

import yaml

from hypersdk.cli.terminal import Document, Terminal, indented

_RULE = "-" * 80


class Form(Enum):
    """How results are written."""

    TEXT = "text"
    JSON = "JSON"
    YAML = "YAML"


@dataclass(frozen=True, slots=True)
class Style:
    """What was asked for."""

    form: Form = Form.TEXT
    #: One line, without a frame.
    machine: bool = False
    #: Between two rules, under a heading; only without ``machine``.
    framed: bool = False

    def apply(self, terminal: Terminal) -> None:
        """Have the terminal write its document in this style, and no lines of text."""
        terminal.json = self.form is not Form.TEXT
        terminal.dump = self.dump

    def dump(self, document: Document) -> str:
        """One document without the newline at its end."""
        body = self._yaml(document) if self.form is Form.YAML else self._json(document)
        if self.machine or not self.framed:
            return body
        return f"{self.form.value}:\n{_RULE}\n{body}\n{_RULE}"

    def _json(self, document: Document) -> str:
        if self.machine:
            return json.dumps(document, separators=(",", ":"))
        return indented(document)

    def _yaml(self, document: Document) -> str:
        text = yaml.safe_dump(
            document,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=self.machine,
            width=float("inf"),
        )
        return str(text).removesuffix("\n")


def metric(count: float) -> str:
    """Bytes in powers of 1000 and three digits: ``10.5 MB``, as ``--pretty`` always showed them."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if float(f"{count:.3g}") < 1000:
            break
        count, unit = count / 1000, larger
    return f"{float(f'{count:.3g}'):g} {unit}"
