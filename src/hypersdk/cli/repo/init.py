"""``hypersdk repo init``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk import InvalidInput, init_repository
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.parameters import SIZE
from hypersdk.cli.protection import PASSPHRASE_VARIABLE, PROTECTION, Protection
from hypersdk.cli.terminal import Terminal

_LOST = {
    "passphrase": "Keep the passphrase: without it every restore point is lost.",
    "keyfile": "Keep a copy of the key file elsewhere: without it every restore point is lost.",
    "recipient": "Keep the identity of this recipient: without it every restore point is lost.",
    "none": "Not encrypted: who can read the storage can read the guests.",
}


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    encrypt: Protection | None
    passphrase: str | None
    chunk_size: int


@click.command("init", cls=Command)
@click.argument("repo")
@click.option(
    "--encrypt",
    type=PROTECTION,
    metavar=PROTECTION.name,
    help="How to protect it. Default: a passphrase, which is asked for.",
)
@click.option(
    "--passphrase",
    metavar="REFERENCE",
    help="Where the passphrase is: env:NAME, file:PATH, keyring:SERVICE/USER.",
)
@click.option(
    "--chunk-size",
    type=SIZE,
    default="1MiB",
    show_default=True,
    help="Power of two, 64KiB to 4MiB. Small ones suit disks with many scattered writes.",
)
@click.pass_obj
def init(terminal: Terminal, /, **given: Any) -> None:
    """Make a repository in an empty folder or bucket prefix."""
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    chosen = options.encrypt or _default(terminal, options)
    protect = chosen.protect(terminal, options.passphrase)
    with init_repository(options.repo, protect=protect, chunk_size=options.chunk_size) as made:
        terminal.result(
            {
                "repository": made.url,
                "encrypted": made.encrypted,
                "protection": chosen.method,
                "chunk_size": made.chunk_size,
            }
        )
        protection = "not encrypted" if chosen.method == "none" else f"opened by {chosen.method}"
        terminal.line(
            f"Made repository {made.url}: {protection}, chunks of {words.size(made.chunk_size)}."
        )
    terminal.note(_LOST[chosen.method])


def _default(terminal: Terminal, options: Options) -> Protection:
    """Never silently unencrypted."""
    named = options.passphrase or terminal.environment.get(PASSPHRASE_VARIABLE)
    if named or terminal.interactive:
        return Protection("passphrase")
    raise InvalidInput(
        "how should the repository be protected?",
        hint="Say --encrypt passphrase (with --passphrase or HYPERSDK_PASSPHRASE), "
        "keyfile=FILE, recipient=KEY or none.",
    )
