from __future__ import annotations

from collections.abc import Callable

import pytest

from hypersdk.model.errors import (
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from hypersdk.repository.store.objects import BucketStore, s3_store
from tests.repository.store.faultproxy import Answer, FaultProxy

OPERATIONS: dict[str, Callable[[BucketStore], object]] = {
    "put": lambda store: store.put_if_absent("k", b"data"),
    "get": lambda store: store.get("k"),
    "range": lambda store: store.get("k", 1, 2),
    "stat": lambda store: store.stat("k"),
    "list": lambda store: list(store.list("folder")),
    "folders": lambda store: store.folders("folder"),
    "delete": lambda store: store.delete("k"),
}

#: Answers that mean the same for every operation.
ANSWERS = [
    (Answer(503, "SlowDown"), StoreUnavailable),
    (Answer(500, "InternalError"), StoreUnavailable),
    (Answer(502), StoreUnavailable),
    (Answer(504), StoreUnavailable),
    (Answer(429, "TooManyRequests"), StoreUnavailable),
    (Answer(408), StoreUnavailable),
    (Answer(0), StoreUnavailable),
    (Answer(401, "Unauthorized"), StoreDenied),
    (Answer(403, "AccessDenied"), StoreDenied),
    (Answer(403, "SignatureDoesNotMatch"), StoreDenied),
    (Answer(507, "XMinioStorageFull"), StoreFull),
    (Answer(400, "InvalidRequest"), StoreError),
    (Answer(301), StoreError),
]


@pytest.fixture
def store(s3_location: str, fault_proxy: FaultProxy) -> BucketStore:
    return s3_store(s3_location)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("answer", "expected"), ANSWERS, ids=lambda value: str(value)[:60])
def test_answers_become_our_errors(
    store: BucketStore,
    fault_proxy: FaultProxy,
    operation: str,
    answer: Answer,
    expected: type[StoreError],
) -> None:
    fault_proxy.answer(answer)
    with pytest.raises(StoreError) as raised:
        OPERATIONS[operation](store)
    assert type(raised.value) is expected
    assert store.url in raised.value.message
    assert "Debug source" not in str(raised.value)
    assert expected is StoreError or raised.value.hint


@pytest.mark.parametrize(
    ("operation", "answer", "expected"),
    [
        # The body tells these apart; a HEAD has none.
        ("get", Answer(404, "NoSuchKey"), ObjectMissing),
        ("stat", Answer(404), ObjectMissing),
        ("get", Answer(404, "NoSuchBucket"), StoreError),
        ("put", Answer(404, "NoSuchBucket"), StoreError),
        ("put", Answer(404, "NoSuchKey"), StoreError),
        ("put", Answer(412, "PreconditionFailed"), ObjectExists),
        ("put", Answer(409, "ConditionalRequestConflict"), StoreUnavailable),
        ("put", Answer(400, "RequestTimeout"), StoreUnavailable),
        ("put", Answer(403, "QuotaExceeded"), StoreFull),
        ("get", Answer(400, "ExpiredToken"), StoreDenied),
        ("get", Answer(200, "X", short=True), StoreUnavailable),
        ("list", Answer(200, "X", short=True), StoreUnavailable),
    ],
)
def test_answers_that_depend_on_the_operation(
    store: BucketStore,
    fault_proxy: FaultProxy,
    operation: str,
    answer: Answer,
    expected: type[StoreError],
) -> None:
    fault_proxy.answer(answer)
    with pytest.raises(StoreError) as raised:
        OPERATIONS[operation](store)
    assert type(raised.value) is expected


def test_deleting_what_is_gone_succeeds(store: BucketStore, fault_proxy: FaultProxy) -> None:
    fault_proxy.answer(Answer(404, "NoSuchKey"))
    store.delete("k")


def test_a_wrong_region_says_what_to_set(store: BucketStore, fault_proxy: FaultProxy) -> None:
    fault_proxy.answer(Answer(301))
    with pytest.raises(StoreError, match=r"another region\nSet AWS_REGION"):
        store.get("k")
