"""From what was said about encryption to keys; a passphrase is asked for when nobody named one."""

from __future__ import annotations

import click

from hypersdk import InvalidInput, Opening, Seal
from hypersdk.cli.hyperexport.options.sealing import Sealing
from hypersdk.cli.terminal import Terminal
from hypersdk.config.secrets import resolve


def seal_of(terminal: Terminal, sealing: Sealing) -> Seal | None:
    """None without ``--encrypt``. Raises InvalidInput."""
    if not sealing.encrypt:
        return None
    if sealing.recipients:
        return Seal(recipients=sealing.recipients).ready()
    return Seal(passphrase=passphrase(terminal, sealing, new=True))


def opening_of(terminal: Terminal, sealing: Sealing) -> Opening:
    """For ``--decrypt``. Raises InvalidInput."""
    if sealing.identities:
        return Opening(identities=sealing.identities).ready()
    return Opening(passphrase=passphrase(terminal, sealing, new=False))


def passphrase(terminal: Terminal, sealing: Sealing, *, new: bool) -> str:
    """``new``: a person has to type it twice. Raises InvalidInput."""
    if sealing.passphrase:
        return resolve(sealing.passphrase)
    if sealing.keyfile is not None:
        return resolve(f"file:{sealing.keyfile}")
    if not terminal.interactive:
        other = "--recipient KEY" if new else "--identity FILE"
        raise InvalidInput(
            "no key was given, and there is nobody to ask for a passphrase",
            hint=f"Add {other}, --passphrase-from env:NAME or --keyfile FILE.",
        )
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True))
