from __future__ import annotations

from hypersdk.accounts.tickets import TICKET_SECONDS, Tickets
from hypersdk.model.accounts import LOCAL, Principal, Role
from tests.accounts.conftest import Seconds

EVE = Principal("eve", Role.VIEWER, "acme", frozenset({"events"}), "1")


def test_it_is_good_once(seconds: Seconds) -> None:
    tickets = Tickets(seconds)
    ticket = tickets.issue(EVE)
    assert tickets.redeem(ticket) == EVE
    assert tickets.redeem(ticket) is None


def test_it_is_good_for_half_a_minute(seconds: Seconds) -> None:
    tickets = Tickets(seconds)
    early, late = tickets.issue(EVE), tickets.issue(EVE)
    seconds.now += TICKET_SECONDS
    assert tickets.redeem(early) == EVE
    seconds.now += 0.001
    assert tickets.redeem(late) is None
    assert tickets.redeem("made up") is None


def test_whose_it_is_does_not_change(seconds: Seconds) -> None:
    tickets = Tickets(seconds)
    ticket = tickets.issue(LOCAL)
    tickets.issue(EVE)
    assert tickets.redeem(ticket) is LOCAL
