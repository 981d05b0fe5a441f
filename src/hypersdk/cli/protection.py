"""How a new repository or key slot is to be protected: ``--encrypt`` and ``--new``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hypersdk import InvalidInput, Protect
from hypersdk.cli.parameters import Parsed, unknown_word
from hypersdk.cli.terminal import Terminal
from hypersdk.config.secrets import resolve

PASSPHRASE_VARIABLE = "HYPERSDK_PASSPHRASE"  # noqa: S105 - the name of a variable

_FORMS = {
    "none": "none",
    "passphrase": "passphrase",
    "keyfile": "keyfile=FILE",
    "recipient": "recipient=KEY",
}


@dataclass(frozen=True, slots=True)
class Protection:
    """One of `_FORMS`, as typed."""

    method: str
    #: File of a keyfile, text of a recipient.
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Protection:
        """Raises InvalidInput naming the nearest form."""
        method, equals, value = text.partition("=")
        form = _FORMS.get(method)
        if form is None:
            raise InvalidInput(unknown_word(method, list(_FORMS)))
        if bool(equals and value) != ("=" in form):
            raise InvalidInput(f"'{text}' is incomplete or too long", hint=f"Write it: {form}")
        return cls(method, value)

    def protect(
        self, terminal: Terminal, reference: str | None, *, variable: bool = True
    ) -> Protect:
        """``reference`` names the passphrase; else it is in the variable, or a person is asked."""
        if self.method == "none":
            return Protect.none()
        if self.method == "keyfile":
            return Protect.key_file(Path(self.value))
        if self.method == "recipient":
            return Protect.recipient(self.value)
        return Protect.passphrase(_new_passphrase(terminal, reference, variable=variable))


def _parse_slot(text: str) -> Protection:
    found = Protection.parse(text)
    if found.method == "none":
        raise InvalidInput("a key slot is a passphrase, a key file or a recipient")
    return found


PROTECTION = Parsed("|".join(_FORMS.values()), Protection.parse)
SLOT = Parsed("|".join(form for form in _FORMS.values() if form != "none"), _parse_slot)


def _new_passphrase(terminal: Terminal, reference: str | None, *, variable: bool) -> str:
    if reference is not None:
        return resolve(reference)
    if variable and (text := terminal.environment.get(PASSPHRASE_VARIABLE, "")):
        return text
    if not terminal.interactive:
        raise InvalidInput(
            "no passphrase was given and there is no terminal to ask for it",
            hint="Name it: --passphrase env:NAME, file:PATH or keyring:SERVICE/USER.",
        )
    text = click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return str(text)
