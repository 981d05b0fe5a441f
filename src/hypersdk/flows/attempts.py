"""A disk that is begun anew when its source fails on the way, and its source told from its target.

The view stays open meanwhile, and with it the moment. What the target has of a broken attempt is
its own business: a file is written anew, a repository finds what it holds by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.streamvmdkwriter import Output
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.model.errors import HyperSDKError, Interrupted
from hypersdk.model.extents import Extent

T = TypeVar("T")

#: How often a disk is begun whose source fails; seconds before the second and third time.
ATTEMPTS = 3
_PAUSES = (1.0, 4.0)


@runtime_checkable
class Recording(Protocol):
    """A source that comes as a stream of a format that files have: its own bytes can be kept."""

    @property
    def finished(self) -> bool: ...

    def record(self, output: Output) -> None:
        """Have every byte of the stream written to ``output`` too as it is walked. Called before
        ``extents()``."""
        ...


def _nobody() -> None:
    """The listener of a caller who is not interested in faults as they occur."""


class Faults:
    """The errors that came from the source; shared by its clones."""

    def __init__(self, failed: Callable[[], None] = _nobody) -> None:
        """``failed`` is called with each."""
        self._errors: list[HyperSDKError] = []
        self._failed = failed

    @property
    def error(self) -> HyperSDKError | None:
        """The first."""
        return self._errors[0] if self._errors else None

    def has(self, error: HyperSDKError) -> bool:
        """This very one came from the source: the target may have failed first, and the source
        because of that."""
        return any(each is error for each in self._errors)

    def note(self, error: HyperSDKError) -> None:
        """A cancelled read is no fault."""
        if isinstance(error, Interrupted):
            return
        self._errors.append(error)
        self._failed()


class Watched(WrappedSource):
    """Notes the errors of its source."""

    def __init__(self, inner: BlockSource, faults: Faults) -> None:
        super().__init__(inner)
        self._faults = faults

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        try:
            yield from self.inner.extents(start, length)
        except HyperSDKError as error:
            self._faults.note(error)
            raise

    def readinto(self, offset: int, buffer: memoryview) -> None:
        try:
            self.inner.readinto(offset, buffer)
        except HyperSDKError as error:
            self._faults.note(error)
            raise


class SourceFailed(Exception):
    """The source failed, not the target."""

    def __init__(self, error: HyperSDKError, *, streamed: bool) -> None:
        """``streamed``: it was under way, and came as a stream."""
        super().__init__(str(error))
        self.error = error
        self.streamed = streamed


def again(once: Callable[[], T], where: str, token: CancelToken, note: Callable[[str], None]) -> T:
    """``once()``, up to three times while it raises `SourceFailed` and that may pass.

    ``where``: instance and disk, for people; ``note`` is told of each new attempt, in a sentence.
    Raises the source's error with ``where`` in front, Interrupted, and what else ``once`` raises.
    """
    for attempt in range(ATTEMPTS):
        try:
            return once()
        except SourceFailed as failed:
            error = failed.error
            if attempt + 1 == ATTEMPTS or not _may_pass(failed):
                raise named(error, f"disk {where} could not be read") from failed.__cause__
            note(
                f"{where} was read again from its beginning: {error.message}"
                + (" (its stream cannot be taken up in the middle)" if failed.streamed else "")
            )
            token.wait(_PAUSES[attempt])
    raise AssertionError("unreachable")


def named(error: HyperSDKError, what: str) -> HyperSDKError:
    """The same error with what it happened to in front."""
    if what not in error.message:
        error.message = f"{what}: {error.message}"
        error.args = (error.message, *error.args[1:])
    return error


def _may_pass(failed: SourceFailed) -> bool:
    """A stream may have been cut or damaged on its way, whatever the error calls it."""
    return failed.error.retryable or failed.streamed
