from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from hypersdk import HyperSDKError, InvalidInput, PartialFailure
from hypersdk.cli.failures import describe, report
from hypersdk.cli.terminal import Terminal
from hypersdk.model import errors
from tests.cli.conftest import Stream


def terminal(*, json: bool = False, debug: bool = False) -> Terminal:
    return Terminal(Stream(), Stream(), Stream(), {}, json=json, debug=debug)


def err(of: Terminal) -> str:
    assert isinstance(of.stderr, Stream)
    return of.stderr.getvalue()


def tree(root: type[HyperSDKError] = HyperSDKError) -> Iterator[type[HyperSDKError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree()))
def test_every_error_of_ours_ends_with_its_own_status(kind: type[HyperSDKError]) -> None:
    error = (
        kind("it broke", {}, hint="mend it")
        if issubclass(kind, PartialFailure)
        else kind("it broke", hint="mend it")
    )
    screen = terminal()
    assert report(error, screen) == kind.exit_code
    assert err(screen) == "hypersdk: it broke\n  mend it\n"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyboardInterrupt(), 130, "hypersdk: interrupted\n"),
        (click.Abort(), 130, "hypersdk: interrupted\n"),
        (
            OSError(28, "No space left on device", "/x"),
            1,
            "hypersdk: /x: No space left on device\n",
        ),
        (errors.MissingRequirement("no qemu-nbd"), 4, "hypersdk: no qemu-nbd\n"),
    ],
)
def test_other_ends(error: BaseException, status: int, text: str) -> None:
    screen = terminal()
    assert report(error, screen) == status
    assert err(screen) == text


def test_each_failed_part_is_named() -> None:
    error = PartialFailure("1 of 2 backups failed", {"db": InvalidInput("no", hint="try yes")})
    screen = terminal()
    assert report(error, screen) == 3
    assert err(screen) == "hypersdk: 1 of 2 backups failed\n  db: no\n    try yes\n"
    assert describe(error)["failures"] == {
        "db": {"kind": "InvalidInput", "message": "no", "hint": "try yes", "exit_code": 2}
    }


def test_an_unexpected_error_is_one_line_unless_debugging() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError("one\ntwo")
    for debug in (False, True):
        screen = terminal(debug=debug)
        assert report(raised.value, screen) == 1
        assert err(screen).startswith("hypersdk: unexpected ZeroDivisionError: one")
        assert "--debug" in err(screen)
        assert ("Traceback" in err(screen)) is debug
