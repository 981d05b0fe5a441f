"""``hypersdk repo key``: who can open a repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk import AlreadyExists, generate_identity
from hypersdk.cli import records, words
from hypersdk.cli.command import Group
from hypersdk.cli.keys import Need, Unlock, key_options, repository_argument
from hypersdk.cli.parameters import PATH, Words
from hypersdk.cli.protection import SLOT, Protection
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal


@click.group("key", cls=Group)
def key() -> None:
    """List, add and remove key slots; make keys."""


@dataclass(frozen=True, slots=True)
class ListOptions:
    repo: str


@key.command("list")
@repository_argument
@click.pass_obj
def list_(terminal: Terminal, /, **given: Any) -> None:
    """List key slots; needs no key."""
    run_list(terminal, ListOptions(**given))


def run_list(terminal: Terminal, options: ListOptions) -> None:
    with Unlock().open(terminal, options.repo, Need.NONE) as repository:
        slots = repository.keys()
        encrypted = repository.encrypted
    terminal.result({"encrypted": encrypted, "keys": [records.key(slot) for slot in slots]})
    table = Table((*left("ID", "ROLE", "METHOD", "CREATED"), Column("LABEL", fold=True)))
    for slot in slots:
        table.add(slot.id, slot.role, slot.method, words.moment(slot.created), slot.label)
    if encrypted:
        terminal.table(table)
    else:
        terminal.note("The repository is not encrypted: it has no keys.")


@dataclass(frozen=True, slots=True)
class AddOptions:
    repo: str
    new: Protection
    new_passphrase: str | None
    role: str
    label: str
    unlock: Unlock


@key.command("add")
@repository_argument
@click.option(
    "--new", type=SLOT, metavar=SLOT.name, required=True, help="How the new slot is opened."
)
@click.option(
    "--new-passphrase",
    metavar="REFERENCE",
    help="Where the new passphrase is; it is asked for otherwise.",
)
@click.option(
    "--role",
    type=Words(("reader", "writer")),
    default="reader",
    show_default=True,
    help="A writer can back up, verify stored bytes and prune, but read no guest data.",
)
@click.option("--label", metavar="TEXT", default="", help="Whose key it is, for `key list`.")
@key_options
@click.pass_obj
def add(terminal: Terminal, /, **given: Any) -> None:
    """Add a key slot. Needs a key that is in already."""
    run_add(terminal, AddOptions(**given))


def run_add(terminal: Terminal, options: AddOptions) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        protect = options.new.protect(terminal, options.new_passphrase, variable=False)
        slot = repository.add_key(protect, role=options.role, label=options.label)
    terminal.result({"key": records.key(slot)})
    terminal.line(f"Added {slot.role} key {slot.id}, opened by {slot.method}.")


@dataclass(frozen=True, slots=True)
class RemoveOptions:
    repo: str
    slot: str
    force: bool


@key.command("remove")
@repository_argument
@click.argument("slot")
@click.option("--force", is_flag=True, help="Also the last reader: all restore points are lost.")
@click.pass_obj
def remove(terminal: Terminal, /, **given: Any) -> None:
    """Remove a key slot by its id.

    Who has opened the slot before may have kept what is in it: this does not take it back.
    """
    run_remove(terminal, RemoveOptions(**given))


def run_remove(terminal: Terminal, options: RemoveOptions) -> None:
    with Unlock().open(terminal, options.repo, Need.NONE) as repository:
        slot = repository.remove_key(options.slot, force=options.force)
    terminal.result({"key": records.key(slot)})
    terminal.line(f"Removed {slot.role} key {slot.id}, opened by {slot.method}.")


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    key_file: Path | None
    identity: Path | None


@key.command("generate")
@click.option("--key-file", type=PATH, metavar="FILE", help="Make a key file.")
@click.option(
    "--identity", type=PATH, metavar="FILE", help="Make a pair; its secret half goes here."
)
@click.pass_obj
def generate(terminal: Terminal, /, **given: Any) -> None:
    """Make a key file, or a pair of identity (secret) and recipient (to hand out).

    Who holds the recipient can add a slot for the identity, but open nothing. The file is
    readable by its owner only and never replaced.
    """
    run_generate(terminal, GenerateOptions(**given))


def run_generate(terminal: Terminal, options: GenerateOptions) -> None:
    if (options.key_file is None) == (options.identity is None):
        raise click.UsageError("give one of --key-file and --identity")
    if options.key_file is not None:
        write_secret(options.key_file, os.urandom(32))
        terminal.result({"key_file": str(options.key_file)})
        terminal.line(f"Made key file {options.key_file}. Keep a copy of it elsewhere.")
    elif options.identity is not None:
        identity, recipient = generate_identity()
        write_secret(options.identity, identity.encode() + b"\n")
        terminal.result({"identity": str(options.identity), "recipient": recipient})
        terminal.line(recipient)
        terminal.note(f"The identity is in {options.identity}. Keep a copy of it elsewhere.")


def write_secret(path: Path, content: bytes) -> None:
    """A new file, 0600 from the first moment. Raises AlreadyExists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise AlreadyExists(
            f"{path} exists", hint="Choose another name: a key is never replaced."
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
