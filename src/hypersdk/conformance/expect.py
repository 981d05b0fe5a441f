"""What cases expect. Functions instead of ``assert``: they hold under ``python -O``, and say what
was expected of what, in words that help the author of a driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Never, TypeVar

from hypersdk.datapath.cancel import token_in_force
from hypersdk.model.errors import HyperSDKError, Interrupted

T = TypeVar("T")

#: Seconds between two looks at what shall come true; they grow up to the second figure.
_FIRST_LOOK = 0.01
_SLOWEST_LOOK = 0.25


class Unmet(Exception):
    """A driver did not do what its port promises."""


class Skipped(Exception):
    """A case cannot be tried here; the text says why."""


def fail(problem: str) -> Never:
    raise Unmet(problem)


def skip(reason: str) -> Never:
    raise Skipped(reason)


def true(condition: bool, problem: str) -> None:
    """``problem`` says what is wrong when ``condition`` does not hold."""
    if not condition:
        raise Unmet(problem)


def equal(actual: object, wanted: object, what: str) -> None:
    if actual != wanted:
        raise Unmet(f"{what}: expected {_short(wanted)}, found {_short(actual)}")


def contains(collection: Collection[Any], wanted: object, what: str) -> None:
    if wanted not in collection:
        raise Unmet(f"{what}: {_short(wanted)} is not in {_short(collection)}")


def lacks(collection: Collection[Any], unwanted: object, what: str) -> None:
    if unwanted in collection:
        raise Unmet(f"{what}: {_short(unwanted)} is in {_short(collection)}")


def raises(
    kinds: type[HyperSDKError] | tuple[type[HyperSDKError], ...],
    action: Callable[[], object],
    what: str,
) -> HyperSDKError:
    """``action`` raises an error of these classes or below, with a message and a hint."""
    allowed = kinds if isinstance(kinds, tuple) else (kinds,)
    names = " or ".join(kind.__name__ for kind in allowed)
    try:
        answer = action()
    except (Unmet, Skipped):
        raise
    except HyperSDKError as error:
        if not isinstance(error, allowed):
            raise Unmet(
                f"{what}: expected {names}, it raised {type(error).__name__}: {error}"
            ) from error
        _explained(error, what)
        return error
    except Exception as error:
        raise Unmet(
            f"{what}: expected {names}, a native error came out: {type(error).__name__}: {error}"
        ) from error
    raise Unmet(f"{what}: expected {names}, it returned {_short(answer)}")


def eventually(
    question: Callable[[], T], wanted: Callable[[T], bool], what: str, *, seconds: float
) -> T:
    """The first answer that is ``wanted``; the question is asked again until it is."""
    deadline, pause = time.monotonic() + seconds, _FIRST_LOOK
    while True:
        answer = question()
        if wanted(answer):
            return answer
        if time.monotonic() >= deadline:
            raise Unmet(f"{what}: not within {seconds:g} s; at last it was {_short(answer)}")
        token_in_force().wait(pause)
        pause = min(pause * 2, _SLOWEST_LOOK)


def at_most(seconds: float, action: Callable[[], T], what: str) -> T:
    """What ``action`` returns, which it does in time."""
    began = time.monotonic()
    try:
        return action()
    finally:
        took = time.monotonic() - began
        if took > seconds:
            raise Unmet(f"{what}: took {took:.1f} s, at most {seconds:g} s were allowed")


def tolerated(kinds: type[HyperSDKError], action: Callable[[], object]) -> None:
    """Do it; an error of this class is as good."""
    with suppress(kinds):
        action()


def _explained(error: HyperSDKError, what: str) -> None:
    """An error says what happened and what to do next; who cancelled knows what to do."""
    name = type(error).__name__
    if not error.message.strip():
        raise Unmet(f"{what}: the {name} has no message") from error
    if not error.hint.strip() and not isinstance(error, Interrupted):
        raise Unmet(f"{what}: the {name} has no hint: {error.message}") from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:380]}… ({len(text)} characters)"
