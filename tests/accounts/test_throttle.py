from __future__ import annotations

import pytest

from hypersdk.accounts.throttle import ADDRESS, FORGET_SECONDS, PAIR, USER, LoginThrottle
from hypersdk.model.errors import TooManyRequests
from tests.accounts.conftest import Seconds


@pytest.fixture
def throttle(seconds: Seconds) -> LoginThrottle:
    return LoginThrottle(seconds)


def wait_of(throttle: LoginThrottle, user: str, origin: str) -> float:
    """Seconds for which it would be refused; counts an attempt when it is 0."""
    try:
        throttle.enter(user, origin)
    except TooManyRequests as error:
        return error.after
    return 0.0


def fail(throttle: LoginThrottle, seconds: Seconds, times: int, user: str, origin: str) -> None:
    """So many failures, each as early as may be."""
    for _ in range(times):
        while (wait := wait_of(throttle, user, origin)) > 0:
            seconds.now += wait


def test_waits_double(throttle: LoginThrottle, seconds: Seconds) -> None:
    fail(throttle, seconds, PAIR.free, "eve", "10.0.0.1")
    waits = []
    for _ in range(5):
        fail(throttle, seconds, 1, "eve", "10.0.0.1")
        waits.append(wait_of(throttle, "eve", "10.0.0.1"))
    assert waits == [2, 4, 8, 16, 32]


def test_waits_end_somewhere(throttle: LoginThrottle, seconds: Seconds) -> None:
    fail(throttle, seconds, 40, "eve", "10.0.0.1")
    assert wait_of(throttle, "eve", "10.0.0.1") == PAIR.longest


def test_a_refused_attempt_makes_the_wait_no_longer(
    throttle: LoginThrottle, seconds: Seconds
) -> None:
    fail(throttle, seconds, PAIR.free + 1, "eve", "10.0.0.1")
    assert [wait_of(throttle, "eve", "10.0.0.1") for _ in range(10)] == [2.0] * 10


def test_many_at_once_get_no_further_than_one_after_another(throttle: LoginThrottle) -> None:
    entered = [wait_of(throttle, "eve", "10.0.0.1") == 0 for _ in range(50)]
    assert sum(entered) == PAIR.free + 1


def test_a_right_password_begins_anew(throttle: LoginThrottle, seconds: Seconds) -> None:
    fail(throttle, seconds, PAIR.free, "eve", "10.0.0.1")
    throttle.enter("eve", "10.0.0.1")
    throttle.succeeded("eve", "10.0.0.1")
    assert wait_of(throttle, "eve", "10.0.0.1") == 0


def test_guessing_at_a_name_does_not_lock_out_its_owner(
    throttle: LoginThrottle, seconds: Seconds
) -> None:
    throttle.enter("eve", "10.0.0.1")
    throttle.succeeded("eve", "10.0.0.1")
    for at in range(USER.free + 20):
        fail(throttle, seconds, 1, "eve", f"192.0.2.{at}")
    assert wait_of(throttle, "eve", "198.51.100.1") > 0
    assert wait_of(throttle, "eve", "10.0.0.1") == 0


def test_guessing_from_an_address_does_not_lock_out_those_who_share_it(
    throttle: LoginThrottle, seconds: Seconds
) -> None:
    throttle.enter("eve", "10.0.0.1")
    throttle.succeeded("eve", "10.0.0.1")
    for at in range(ADDRESS.free + 5):
        fail(throttle, seconds, 1, f"user-{at}", "10.0.0.1")
    assert wait_of(throttle, "somebody", "10.0.0.1") > 0
    assert wait_of(throttle, "eve", "10.0.0.1") == 0
    assert wait_of(throttle, "somebody", "10.0.0.2") == 0


def test_an_owner_who_logged_in_counts_too(throttle: LoginThrottle, seconds: Seconds) -> None:
    throttle.enter("eve", "10.0.0.1")
    throttle.succeeded("eve", "10.0.0.1")
    fail(throttle, seconds, PAIR.free + 1, "eve", "10.0.0.1")
    assert wait_of(throttle, "eve", "10.0.0.1") > 0


def test_addresses_of_one_ipv6_network_are_one(throttle: LoginThrottle, seconds: Seconds) -> None:
    for at in range(PAIR.free + 1):
        fail(throttle, seconds, 1, "eve", f"2001:db8::{at}")
    assert wait_of(throttle, "eve", "2001:db8::ffff:1") > 0
    assert wait_of(throttle, "eve", "2001:db8:0:1::1") == 0


def test_it_forgets(throttle: LoginThrottle, seconds: Seconds) -> None:
    fail(throttle, seconds, PAIR.free + 5, "eve", "10.0.0.1")
    seconds.now += FORGET_SECONDS + 1
    fail(throttle, seconds, PAIR.free, "eve", "10.0.0.1")
    assert wait_of(throttle, "eve", "10.0.0.1") == 0


def test_how_many_are_free_can_be_set(seconds: Seconds) -> None:
    throttle = LoginThrottle(seconds, attempts=1)
    assert [wait_of(throttle, "eve", "") for _ in range(3)] == [0, 0, 2]
