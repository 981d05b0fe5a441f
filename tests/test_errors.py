"""The tree of errors is as its docstring draws it, and says what a caller may rely on."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import pytest

from hypersdk.model import errors
from hypersdk.model.errors import HyperSDKError, PartialFailure

#: The statuses with which a command may end; docs/commands.md explains them.
EXIT_STATUSES = {1, 2, 3, 4, 130}
#: Not in Python's list: the client closed the request (nginx).
CLIENT_CLOSED_REQUEST = 499

_LINE = re.compile(
    r"^    (?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+)"
    r"(?:\s+exit (?P<exit>\d+))?(?:\s+HTTP (?P<http>\d+))?(?:\s+(?P<remark>.*))?$"
)


class Drawn(NamedTuple):
    """A class as the docstring has it."""

    name: str
    parent: str | None
    exit: int | None
    http: int | None
    retryable: bool


def drawn() -> dict[str, Drawn]:
    found: dict[str, Drawn] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        depth = len(match["branch"]) // 4
        del above[depth:]
        found[match["name"]] = Drawn(
            match["name"],
            above[-1] if above else None,
            int(match["exit"]) if match["exit"] else None,
            int(match["http"]) if match["http"] else None,
            (match["remark"] or "").startswith("retryable"),
        )
        above.append(match["name"])
    return found


def all_errors(root: type[HyperSDKError] = HyperSDKError) -> Iterator[type[HyperSDKError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from all_errors(child)


def made(kind: type[HyperSDKError]) -> HyperSDKError:
    if issubclass(kind, PartialFailure):
        return kind("what", {"vda": HyperSDKError("why")}, hint="do this")
    return kind("what", hint="do this")


every_error = pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.__name__)


def test_the_drawing_has_every_class_and_no_other() -> None:
    assert drawn().keys() == {kind.__name__ for kind in all_errors()}
    public = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert public == drawn().keys()


@every_error
def test_a_class_is_where_and_what_the_drawing_says(kind: type[HyperSDKError]) -> None:
    entry = drawn()[kind.__name__]
    parent = kind.__bases__[0]
    assert entry.parent == (None if kind is HyperSDKError else parent.__name__)
    inherited = HyperSDKError if kind is HyperSDKError else parent
    assert kind.exit_code == (entry.exit or getattr(inherited, "exit_code", None))
    assert kind.http_status == (entry.http or getattr(inherited, "http_status", None))
    assert kind.retryable == entry.retryable


@every_error
def test_statuses_exist(kind: type[HyperSDKError]) -> None:
    assert kind.exit_code in EXIT_STATUSES
    known = {status.value for status in HTTPStatus} | {CLIENT_CLOSED_REQUEST}
    assert kind.http_status in known
    assert kind.http_status >= 400 or kind is PartialFailure


@every_error
def test_a_message_and_a_hint(kind: type[HyperSDKError]) -> None:
    error = made(kind)
    assert (error.message, error.hint) == ("what", "do this")
    assert str(error) == "what\ndo this"
    assert kind.__doc__


def test_without_a_hint_the_message_stands_alone() -> None:
    assert str(HyperSDKError("what")) == "what"


def test_a_partial_failure_names_its_parts() -> None:
    error = PartialFailure("1 of 2 failed", {"vda": HyperSDKError("why")})
    assert error.failures["vda"].message == "why"


@every_error
def test_errors_travel_between_processes(kind: type[HyperSDKError]) -> None:
    error = made(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.hint) == (error.message, error.hint)


def test_every_exit_status_is_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "commands.md").read_text()
    table = text[text.index("### Exit status") :]
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert documented >= EXIT_STATUSES | {0}
