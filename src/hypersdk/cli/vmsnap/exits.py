"""With which status vmsnap ends, and how it says what failed.

Scripts around vmsnap know these numbers, so they are not those of ``hypersdk``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum

import click

from hypersdk import (
    HyperSDKError,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    MissingRequirement,
    NotFound,
    PartialFailure,
    StoreError,
)
from hypersdk.cli.failures import describe, tell
from hypersdk.cli.terminal import Document, Terminal

PROGRAM = "vmsnap"


class Exit(IntEnum):
    """Every exit status."""

    OK = 0
    DOMAINS = 1
    OUTPUT_DIR = 2
    #: Anything else, wrong usage too.
    MAIN = 3
    REQUIREMENTS = 4
    #: Scrubbing failed, or ``--strict`` found a domain inconsistent.
    SCRUB = 5
    LOCK_RELEASE = 6
    TOO_MANY_COMMANDS = 7
    SCRUB_TYPE = 8
    INTERRUPTED = 130


class NoDomains(NotFound):
    """No domain was named, or none is there by that name."""


class OutputRefused(StoreError):
    """The output folder was not named, or cannot be used."""


class TooManyCommands(InvalidInput):
    """More than one thing to do."""


class UnknownScrubType(InvalidInput):
    """Nothing, or something unknown, to scrub."""


class ScrubFailed(HyperSDKError):
    """A checkpoint or bitmap could not be removed."""


class Inconsistent(HyperSDKError):
    """Checkpoints and bitmaps do not fit together, and ``--strict`` was given."""


class LockReleaseFailed(HyperSDKError):
    """A lock could not be given back."""


_STATUS: dict[type[BaseException], Exit] = {
    NoDomains: Exit.DOMAINS,
    InstanceNotFound: Exit.DOMAINS,
    OutputRefused: Exit.OUTPUT_DIR,
    MissingRequirement: Exit.REQUIREMENTS,
    ScrubFailed: Exit.SCRUB,
    Inconsistent: Exit.SCRUB,
    LockReleaseFailed: Exit.LOCK_RELEASE,
    TooManyCommands: Exit.TOO_MANY_COMMANDS,
    UnknownScrubType: Exit.SCRUB_TYPE,
    Interrupted: Exit.INTERRUPTED,
    KeyboardInterrupt: Exit.INTERRUPTED,
    click.Abort: Exit.INTERRUPTED,
}


def status_of(error: BaseException) -> Exit:
    """Of several domains that failed for one reason it is that reason's, else the general one."""
    if isinstance(error, PartialFailure):
        found = {status_of(failure) for failure in error.failures.values()}
        return found.pop() if len(found) == 1 else Exit.MAIN
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), Exit.MAIN)


def described(error: BaseException) -> Document:
    """The error as an object, with the exit status that vmsnap gives it."""
    document = describe(error)
    if isinstance(error, PartialFailure):
        document["failures"] = {part: described(each) for part, each in error.failures.items()}
    document["exit_code"] = int(status_of(error))
    document["hint"] = str(document["hint"]).replace(
        "This is a fault of hypersdk. Run it again with --debug",
        "This is a fault of vmsnap. Run it again with --verbose",
    )
    return document


def complain(error: BaseException, terminal: Terminal) -> Exit:
    """Tell on stderr what failed; the status to end with."""
    tell(PROGRAM, error, described(error), terminal)
    return status_of(error)


@contextmanager
def noting(note: Callable[[HyperSDKError], None]) -> Iterator[None]:
    """What fails in the block is noted, so that the other domains go on."""
    try:
        yield
    except HyperSDKError as error:
        note(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        note(HyperSDKError(f"{place}{error.strerror or error}"))


def raise_failures(what: str, failures: dict[str, HyperSDKError], names: Iterable[str]) -> None:
    """A single domain that fails is the failure; of several, each is named."""
    total = len(set(names) | set(failures))
    if not failures:
        return
    if total == 1:
        raise next(iter(failures.values()))
    raise PartialFailure(f"{what} failed for {len(failures)} of {total} domains", failures)
