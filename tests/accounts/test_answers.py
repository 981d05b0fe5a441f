from __future__ import annotations

from datetime import timedelta

import pytest

from hypersdk.accounts.answers import KEPT, Answer, AnswerStore
from hypersdk.database.engine import Database
from hypersdk.model.accounts import LOCAL, Principal, Role
from hypersdk.model.errors import IdempotencyMismatch, RequestRunning
from tests.accounts.conftest import Clock

EVE = Principal("eve", Role.VIEWER)
ANSWER = Answer(201, {"location": "/v1/jobs/1"}, b'{"id": 1}')


@pytest.fixture
def store(database: Database) -> AnswerStore:
    return AnswerStore(database)


def test_the_same_request_has_the_same_answer(store: AnswerStore) -> None:
    assert store.begin(EVE, "key", "request") is None
    store.finish(EVE, "key", ANSWER)
    assert store.begin(EVE, "key", "request") == ANSWER


def test_another_request_with_the_key(store: AnswerStore) -> None:
    store.begin(EVE, "key", "request")
    with pytest.raises(IdempotencyMismatch):
        store.begin(EVE, "key", "another")
    store.finish(EVE, "key", ANSWER)
    with pytest.raises(IdempotencyMismatch):
        store.begin(EVE, "key", "another")


def test_while_the_first_one_is_carried_out(store: AnswerStore, clock: Clock) -> None:
    store.begin(EVE, "key", "request")
    clock.pass_by(hours=1)
    with pytest.raises(RequestRunning) as caught:
        store.begin(EVE, "key", "request")
    assert caught.value.retryable


def test_after_a_failure_it_is_carried_out(store: AnswerStore) -> None:
    store.begin(EVE, "key", "request")
    store.give_up(EVE, "key")
    assert store.begin(EVE, "key", "another") is None


def test_an_answer_is_not_given_up(store: AnswerStore) -> None:
    store.begin(EVE, "key", "request")
    store.finish(EVE, "key", ANSWER)
    store.give_up(EVE, "key")
    assert store.begin(EVE, "key", "request") == ANSWER


def test_keys_of_others_are_other_keys(store: AnswerStore) -> None:
    store.begin(EVE, "key", "request")
    assert store.begin(LOCAL, "key", "another") is None
    assert store.begin(Principal("eve", Role.VIEWER, "acme"), "key", "another") is None


def test_what_died_with_its_process_is_carried_out(
    database: Database, store: AnswerStore, clock: Clock
) -> None:
    store.begin(EVE, "key", "request")
    restarted = AnswerStore(database, "another process")
    with pytest.raises(RequestRunning):
        restarted.begin(EVE, "key", "request")  # it may be ending just now
    clock.pass_by(seconds=31)
    assert restarted.begin(EVE, "key", "request") is None


def test_it_is_kept_for_a_day(store: AnswerStore, clock: Clock) -> None:
    store.begin(EVE, "key", "request")
    store.finish(EVE, "key", ANSWER)
    clock.moment += KEPT - timedelta(seconds=1)
    assert store.begin(EVE, "key", "request") == ANSWER
    clock.pass_by(seconds=1)
    assert store.begin(EVE, "key", "another") is None
    clock.pass_by(days=2)
    assert store.forget(clock.moment - KEPT) == 1
