"""Options by which a command opens a repository. Secrets are named, never typed as arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click

from hypersdk import InvalidInput, Key, KeyRequired, Repository, open_repository
from hypersdk.cli.parameters import PATH
from hypersdk.cli.protection import PASSPHRASE_VARIABLE
from hypersdk.cli.terminal import Terminal
from hypersdk.config.secrets import resolve

_GIVEN_BY = {
    "keyfile": "--key-file (HYPERSDK_KEY_FILE)",
    "passphrase": f"--passphrase ({PASSPHRASE_VARIABLE})",
    "recipient": "--identity (HYPERSDK_IDENTITY)",
}

F = TypeVar("F", bound=Callable[..., object])


class Need(Enum):
    """What a command needs a key for."""

    #: It does nothing without one.
    REQUIRED = "required"
    #: It shows less without one.
    WELCOME = "welcome"
    #: Nobody is asked for one.
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Unlock:
    """What was said about keys on the command line."""

    #: Reference to a secret: ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/USER``.
    passphrase: str | None = None
    key_file: Path | None = None
    identity: Path | None = None

    def open(self, terminal: Terminal, location: str, need: Need = Need.REQUIRED) -> Repository:
        """The repository at ``location``.

        Options go before settings; a person is asked for a passphrase when there is neither.
        Raises KeyRequired.
        """

        def opened(key: Key | None) -> Repository:
            return open_repository(location, key=key, cache=terminal.settings.cache_dir)

        repository = opened(self.key() or _from_settings(terminal))
        if not repository.locked or need is Need.NONE:
            return repository
        slots = repository.keys()
        methods = {slot.method for slot in slots}
        if "passphrase" in methods and terminal.interactive:
            repository.close()
            text = click.prompt(f"Passphrase of {location}", hide_input=True, err=True)
            return opened(Key.passphrase(str(text)))
        if need is Need.REQUIRED:
            repository.close()
            raise KeyRequired(
                f"{repository.url} is encrypted and no key was given",
                hint=f"It is opened by {' or '.join(_GIVEN_BY[each] for each in sorted(methods))}.",
            )
        return repository

    def key(self) -> Key | None:
        """The key that was named, None when none was."""
        given = [option for option in (self.passphrase, self.key_file, self.identity) if option]
        if len(given) > 1:
            raise InvalidInput(
                "more than one key was given",
                hint="Give one of --passphrase, --key-file and --identity.",
            )
        if self.passphrase:
            return Key.passphrase(resolve(self.passphrase))
        if self.key_file:
            return Key.file(self.key_file)
        return Key.identity(self.identity) if self.identity else None


def _from_settings(terminal: Terminal) -> Key | None:
    settings = terminal.settings
    if settings.key_file is not None:
        return Key.file(settings.key_file)
    if settings.identity is not None:
        return Key.identity(settings.identity)
    if text := terminal.environment.get(PASSPHRASE_VARIABLE):
        return Key.passphrase(text)
    return Key.passphrase(resolve(settings.key)) if settings.key else None


def key_options(function: F) -> F:
    """Adds the options; the command receives them as one ``unlock``."""
    return _key_options(function, "", "unlock")


def destination_key_options(function: F) -> F:
    """The same for a second repository: ``--to-passphrase`` …, received as ``unlock_to``."""
    return _key_options(function, "to-", "unlock_to")


def _key_options(function: F, prefix: str, name: str) -> F:
    passphrase, key_file, identity = (
        prefix.replace("-", "_") + option for option in ("passphrase", "key_file", "identity")
    )

    @functools.wraps(function)
    def collected(*args: Any, **given: Any) -> object:
        unlock = Unlock(given.pop(passphrase), given.pop(key_file), given.pop(identity))
        return function(*args, **given, **{name: unlock})

    whose = " of the destination" if prefix else ""
    options = (
        click.option(
            f"--{prefix}passphrase",
            metavar="REFERENCE",
            help=f"Where the passphrase{whose} is: env:NAME, file:PATH, keyring:SERVICE/USER.",
        ),
        click.option(
            f"--{prefix}key-file", type=PATH, metavar="FILE", help=f"The key file{whose}."
        ),
        click.option(
            f"--{prefix}identity",
            type=PATH,
            metavar="FILE",
            help=f"File with an identity (X25519 private key){whose}.",
        ),
    )
    for option in reversed(options):
        collected = option(collected)
    return collected  # type: ignore[return-value]  # same but for the options


def repository_argument(function: F) -> F:
    """``REPO``, a folder or ``s3://bucket/prefix``."""
    return click.argument("repo")(function)


def repository_option(function: F) -> F:
    """``--repo REPO``, or the one in the settings."""
    return click.option(
        "--repo",
        metavar="REPO",
        callback=_default_repository,
        help="The repository, a folder or s3://bucket/prefix.  [default: $HYPERSDK_REPOSITORY]",
    )(function)


def _default_repository(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str:
    found = value or context.ensure_object(Terminal).settings.repository
    if not found:
        raise click.MissingParameter(ctx=context, param=parameter)
    return found
