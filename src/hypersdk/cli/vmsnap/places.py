"""Where the backups of a run go: the output folder, or the folder of a period in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypersdk import (
    AlreadyExists,
    Grouping,
    HyperSDKError,
    InvalidInput,
    NotARepository,
    Period,
    PointNotFound,
    Protect,
    Repository,
    RestorePoint,
    StoreError,
    init_repository,
    open_repository,
    periods,
    subfolders,
)
from hypersdk.cli.keys import Need, Unlock
from hypersdk.cli.protection import PASSPHRASE_VARIABLE, Protection
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap.exits import OutputRefused

#: Gives the moment of a run, in the time zone by whose calendar periods go.
Clock = Callable[[], datetime]


def local_time() -> datetime:
    """Now, in the time zone of this machine."""
    return datetime.now(UTC).astimezone()


@dataclass(frozen=True, slots=True)
class Place:
    """What was said about it on the command line."""

    output: str
    grouping: Grouping | None = None
    encrypt: bool = False
    unlock: Unlock = field(default_factory=Unlock)

    def at(self, period: Period | None) -> str:
        """Location of the repository of a period; without periods, the output folder is one."""
        return self.output if period is None else f"{self.output.rstrip('/')}/{period.folder}"

    def current(self, now: datetime) -> str:
        """Location of the repository that a backup of this moment goes to."""
        return self.at(Period.at(now, self.grouping) if self.grouping else None)

    def older(self) -> list[Period]:
        """Every period that has a folder, newest first, of one grouping when it was named."""
        return periods(self.folders(), self.grouping)

    def folders(self) -> tuple[str, ...]:
        """Names of what lies in the output; nothing when it is yet to be made."""
        try:
            return subfolders(self.output)
        except StoreError:
            if self.exists():
                raise
            return ()

    def exists(self) -> bool:
        """False for a folder that is yet to be made."""
        return "://" in self.output or os.path.exists(self.output)


def required(output: str | None, what: str) -> str:
    """Raises OutputRefused without one."""
    if not output:
        raise OutputRefused(f"{what} needs an output folder", hint="Name it: --output DIR")
    return output


def open_or_make(terminal: Terminal, place: Place, now: datetime) -> Repository:
    """The repository for backups of this moment, made when it is not there yet.

    Raises OutputRefused, KeyRequired.
    """
    location = place.current(now)
    try:
        repository = place.unlock.open(terminal, location)
    except (NotARepository, StoreError) as missing:
        return _made(terminal, place, location, missing)
    if place.encrypt and not repository.encrypted:
        repository.close()
        raise OutputRefused(
            f"{location} is not encrypted",
            hint="What is there cannot be encrypted later: choose another folder.",
        )
    return repository


def _made(terminal: Terminal, place: Place, location: str, missing: HyperSDKError) -> Repository:
    protect = _protection(terminal, place)
    try:
        made = init_repository(location, protect=protect, cache=terminal.settings.cache_dir)
    except AlreadyExists as error:
        try:  # another run was quicker
            return place.unlock.open(terminal, location)
        except NotARepository:
            raise OutputRefused(
                f"{location} holds something else than backups of vmsnap: {error.message}",
                hint="Choose an empty folder.",
            ) from error
    except StoreError as error:
        raise OutputRefused(error.message, hint=error.hint) from missing
    how = "encrypted" if made.encrypted else "not encrypted"
    terminal.note(f"Made repository {made.url}, {how}.")
    return made


def _protection(terminal: Terminal, place: Place) -> Protect:
    """How a new repository is to be protected; never less than its neighbours without a word."""
    unlock = place.unlock
    if not place.encrypt:
        if unlock.key() is not None:
            raise InvalidInput(
                "a key was named for a new repository that would not be encrypted",
                hint="Add --encrypt.",
            )
        _refuse_to_be_the_first_in_clear(terminal, place)
        return Protect.none()
    if unlock.identity is not None:
        raise InvalidInput("a new repository takes --passphrase or --key-file, not --identity")
    settings = terminal.settings
    key_file = unlock.key_file or (None if unlock.passphrase else settings.key_file)
    if key_file is not None:
        return Protect.key_file(key_file)
    in_variable = terminal.environment.get(PASSPHRASE_VARIABLE)
    reference = unlock.passphrase or (None if in_variable else settings.key)
    return Protection("passphrase").protect(terminal, reference)


def _refuse_to_be_the_first_in_clear(terminal: Terminal, place: Place) -> None:
    for period in place.older() if place.grouping else []:
        try:
            with open_repository(place.at(period), cache=terminal.settings.cache_dir) as before:
                encrypted = before.encrypted
        except NotARepository:
            continue
        if encrypted:
            raise InvalidInput(
                f"{place.at(period)} is encrypted, and the new period would not be",
                hint="Add --encrypt, as for the periods before.",
            )
        return


def existing(terminal: Terminal, place: Place, need: Need = Need.REQUIRED) -> list[Repository]:
    """Every repository below the output, the newest first; the caller closes them.

    Raises OutputRefused when there is none.
    """
    locations = [place.at(period) for period in place.older()]
    if place.grouping is None:
        locations.insert(0, place.output)
    found: list[Repository] = []
    try:
        for location in locations:
            try:
                found.append(place.unlock.open(terminal, location, need))
            except NotARepository:
                continue
            except StoreError as error:
                raise OutputRefused(error.message, hint=error.hint) from error
    except BaseException:
        close_all(found)
        raise
    if not found:
        raise OutputRefused(f"there are no backups of vmsnap in {place.output}")
    return found


def close_all(repositories: list[Repository]) -> None:
    for repository in repositories:
        repository.close()


def find(repositories: list[Repository], reference: str) -> tuple[Repository, RestorePoint]:
    """The point that ``DOMAIN`` or ``DOMAIN@TIME`` means, in the newest period that has one."""
    failure: PointNotFound | None = None
    for repository in repositories:
        try:
            return repository, repository.find(reference)
        except PointNotFound as error:
            failure = failure or error
    assert failure is not None
    raise failure
