"""What cases expect is really demanded, and said in words."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from hypersdk.conformance import expect
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    InstanceNotFound,
    Interrupted,
    InvalidState,
    NotFound,
)


def raising(error: BaseException) -> None:
    raise error


def test_equal_says_what_was_expected_of_what() -> None:
    expect.equal(1, 1, "processors")
    with pytest.raises(expect.Unmet, match="processors: expected 2, found 1"):
        expect.equal(1, 2, "processors")


def test_long_values_are_cut() -> None:
    with pytest.raises(expect.Unmet) as caught:
        expect.equal("x" * 10_000, "", "a value")
    assert len(str(caught.value)) < 1000


def test_contains_and_lacks() -> None:
    expect.contains([1], 1, "numbers")
    expect.lacks([1], 2, "numbers")
    with pytest.raises(expect.Unmet, match="numbers: 2 is not in"):
        expect.contains([1], 2, "numbers")
    with pytest.raises(expect.Unmet, match="numbers: 1 is in"):
        expect.lacks([1], 1, "numbers")


def test_raises_takes_classes_below() -> None:
    error = InstanceNotFound("no 'web'", hint="List them.")
    assert expect.raises(NotFound, lambda: raising(error), "a look") is error


@pytest.mark.parametrize(
    ("action", "problem"),
    [
        (lambda: 7, "expected NotFound, it returned 7"),
        (lambda: raising(HypervisorError("x", hint="y")), "it raised HypervisorError"),
        (lambda: raising(KeyError("web")), "a native error came out: KeyError"),
        (lambda: raising(NotFound("no 'web'")), "the NotFound has no hint"),
        (lambda: raising(NotFound(" ", hint="y")), "the NotFound has no message"),
    ],
)
def test_raises_refuses_everything_else(action: object, problem: str) -> None:
    assert callable(action)
    with pytest.raises(expect.Unmet, match=problem):
        expect.raises(NotFound, action, "a look")


def test_raises_refuses_a_class_above() -> None:
    with pytest.raises(expect.Unmet, match="expected InstanceNotFound or InvalidState"):
        expect.raises(
            (InstanceNotFound, InvalidState), lambda: raising(NotFound("x", hint="y")), "a look"
        )


def test_who_cancelled_needs_no_hint() -> None:
    expect.raises(Interrupted, lambda: raising(Interrupted("cancelled")), "a copy")


def test_eventually_asks_until_it_is_so() -> None:
    answers = iter([1, 2, 3])
    assert expect.eventually(lambda: next(answers), lambda n: n == 3, "a number", seconds=5) == 3


def test_eventually_gives_up_and_says_what_it_saw_last() -> None:
    with pytest.raises(expect.Unmet, match=r"a number: not within 0 s; at last it was 1"):
        expect.eventually(lambda: 1, lambda n: n == 3, "a number", seconds=0)


def test_eventually_obeys_its_token() -> None:
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    with token.scope(), pytest.raises(Interrupted):
        expect.eventually(lambda: 1, lambda n: n == 3, "a number", seconds=30)


def test_at_most_lets_the_answer_through() -> None:
    assert expect.at_most(60, lambda: 7, "a look") == 7
    with pytest.raises(expect.Unmet, match="a look: took"):
        expect.at_most(-1, lambda: 7, "a look")


def test_tolerated_lets_others_through() -> None:
    expect.tolerated(NotFound, lambda: raising(InstanceNotFound("x")))
    with pytest.raises(HyperSDKError):
        expect.tolerated(NotFound, lambda: raising(InvalidState("x")))


def test_it_holds_without_asserts() -> None:
    program = "from hypersdk.conformance import expect; expect.equal(1, 2, 'x')"
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"expected 2, found 1" in done.stderr
