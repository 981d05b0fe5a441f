"""Encryption of what is written, and its undoing. Secrets are named, never typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hypersdk.cli.hyperexport.options.values import Given, Option, refuse, yes_no
from hypersdk.cli.parameters import PATH, Words

OPTIONS: tuple[Option, ...] = (
    yes_no("encrypt", help="Encrypt the files, in the format of age."),
    click.option(
        "--encrypt-method",
        type=Words(["age", "aes256", "gpg"]),
        default="age",
        show_default=True,
        help="age; the others are refused with the reason.",
    ),
    click.option(
        "--recipient",
        "recipients",
        multiple=True,
        metavar="KEY",
        help="A public key of age that shall be able to decrypt; may be repeated.",
    ),
    click.option(
        "--passphrase-from",
        "--passphrase",
        "passphrase",
        metavar="REFERENCE",
        help="Where the passphrase is: env:NAME, file:PATH, keyring:SERVICE/USER, prompt:",
    ),
    click.option(
        "--keyfile",
        type=PATH,
        metavar="FILE",
        help="A file whose text is the passphrase.",
    ),
    click.option(
        "--identity",
        "identities",
        type=PATH,
        multiple=True,
        metavar="FILE",
        help="With --decrypt: an identity of age (or an SSH key) that a recipient belongs to.",
    ),
)

_ANSWERS = {
    "aes256": "the old aes256 files cannot show that their end was cut off",
    "gpg": "gpg is not used: its passphrases stand in process lists",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What was said about it."""

    encrypt: bool = False
    recipients: tuple[str, ...] = ()
    passphrase: str = ""
    keyfile: Path | None = None
    identities: tuple[Path, ...] = ()


def sealing(given: Given) -> Sealing:
    """Raises InvalidInput."""
    method = given["encrypt_method"]
    refuse(
        method != "age",
        f"--encrypt-method {method}: {_ANSWERS.get(method, '')}",
        "Files are encrypted in the format of age, which the program age opens too; "
        "--decrypt still reads the old aes256 files.",
    )
    named = [given["recipients"], given["passphrase"], given["keyfile"]]
    refuse(
        sum(map(bool, named)) > 1,
        "more than one key was given",
        "Give one of --recipient, --passphrase-from and --keyfile.",
    )
    refuse(
        any(named) and not (given["encrypt"] or given["decrypt"]),
        "a key was given, and nothing is to be encrypted",
        "Add --encrypt.",
    )
    refuse(
        given["decrypt"] and given["recipients"],
        "a recipient's public key opens nothing",
        "Give the file with the identity: --identity FILE",
    )
    refuse(given["identities"] and not given["decrypt"], "--identity goes with --decrypt")
    return Sealing(
        encrypt=given["encrypt"],
        recipients=given["recipients"],
        passphrase=given["passphrase"] or "",
        keyfile=given["keyfile"],
        identities=given["identities"],
    )
