from __future__ import annotations

import pytest

from hypersdk.model.errors import (
    InvalidInput,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from hypersdk.repository.store.objects import BucketStore, s3_store, split_location
from hypersdk.repository.store.ports import Store
from hypersdk.repository.store.retrying import Patience, Retrying
from tests.repository.store.faultproxy import Answer, FaultProxy
from tests.repository.store.suite import StoreSuite


class TestS3(StoreSuite):
    @pytest.fixture
    def store(self, s3_location: str) -> BucketStore:
        return s3_store(s3_location)

    def test_asks_for_many_requests_in_flight(self, store: Store) -> None:
        assert store.latency_bound


class TestS3AtTheTopOfABucket:
    def test_needs_no_prefix(self, s3_location: str) -> None:
        store = s3_store("s3://lab")
        store.put_if_absent("top/of/bucket", b"x")
        assert [found.key for found in store.list("top")] == ["top/of/bucket"]
        store.delete("top/of/bucket")
        assert store.url == "s3://lab"

    def test_prefixes_are_apart(self, s3_location: str) -> None:
        s3_store(s3_location + "/one").put_if_absent("k", b"1")
        assert list(s3_store(s3_location + "/on").list()) == []
        with pytest.raises(ObjectMissing):
            s3_store(s3_location + "/two").get("k")


def test_a_missing_bucket_is_named(s3_location: str) -> None:
    store = s3_store("s3://nowhere/x")
    for operation in (
        lambda: store.put_if_absent("k", b""),
        lambda: store.get("k"),
        lambda: store.delete("k"),
        lambda: list(store.list()),
    ):
        with pytest.raises(StoreError, match=r"there is no such bucket\nMake the bucket first"):
            operation()


def test_missing_credentials_are_named(
    s3_location: str, monkeypatch: pytest.MonkeyPatch, fault_proxy: FaultProxy
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # A server of container credentials that knows none answers at once; the machine's own
    # metadata service, which obstore would ask next, is not everywhere.
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", fault_proxy.url + "/none")
    fault_proxy.answer(Answer(403, "AccessDenied"))
    with pytest.raises(StoreDenied):
        s3_store(s3_location).get("k")


def test_no_server_is_unavailable(s3_location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="ConnectionRefused"):
        s3_store(s3_location).get("k")


def test_https_is_not_given_up_silently(s3_location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        s3_store(s3_location).get("k")


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("s3://lab", ("lab", "")),
        ("s3://lab/", ("lab", "")),
        ("s3://lab/a/b/", ("lab", "a/b")),
        ("s3://lab/two%20words", ("lab", "two words")),
    ],
)
def test_splits_locations(location: str, parts: tuple[str, str]) -> None:
    assert split_location(location) == parts


@pytest.mark.parametrize(
    "location", ["s3://", "s3:///prefix", "s3://lab/x?y=1", "s3://lab/../x", "s3://lab/a//b"]
)
def test_refuses_bad_locations(location: str) -> None:
    with pytest.raises(InvalidInput):
        split_location(location)


def test_refuses_credentials_in_a_location() -> None:
    with pytest.raises(InvalidInput) as refused:
        split_location("s3://AKIA:secret@lab/x")
    assert "secret" not in str(refused.value).replace("AWS_SECRET_ACCESS_KEY", "")


class TestWithRetries:
    """A server with bad days, and the wrapper that every remote store gets."""

    @pytest.fixture
    def store(self, s3_location: str, fault_proxy: FaultProxy) -> Retrying:
        patience = Patience(attempts=4, wait_first=0.001, wait_longest=0.01, jitter=0.001)
        return Retrying(s3_store(s3_location), patience)

    def test_outlives_slow_down_and_internal_errors(
        self, store: Retrying, fault_proxy: FaultProxy
    ) -> None:
        fault_proxy.answer(Answer(503, "SlowDown"), Answer(500, "InternalError"), Answer(0))
        store.put_if_absent("k", b"content")
        fault_proxy.answer(Answer(503, "SlowDown"), Answer(429))
        assert store.get("k") == b"content"
        fault_proxy.answer(Answer(503, "SlowDown"))
        assert [found.key for found in store.list()] == ["k"]
        fault_proxy.answer(Answer(502), Answer(504))
        assert store.stat("k").size == 7
        fault_proxy.answer(Answer(503, "SlowDown"))
        store.delete("k")
        assert list(store.list()) == []

    def test_a_put_whose_answer_was_lost_succeeded(
        self, store: Retrying, fault_proxy: FaultProxy
    ) -> None:
        fault_proxy.answer(Answer(0, after=True))
        store.put_if_absent("k", b"content")
        assert store.get("k") == b"content"
        assert fault_proxy.requests == ["PUT", "PUT", "HEAD", "GET", "GET"]

    def test_a_conflict_under_way_is_tried_again(
        self, store: Retrying, fault_proxy: FaultProxy
    ) -> None:
        fault_proxy.answer(Answer(409, "ConditionalRequestConflict"))
        store.put_if_absent("k", b"content")
        assert store.get("k") == b"content"

    def test_gives_up_and_says_that_nothing_is_lost(
        self, store: Retrying, fault_proxy: FaultProxy
    ) -> None:
        fault_proxy.answer(*[Answer(503, "SlowDown")] * 4)
        with pytest.raises(StoreUnavailable) as given_up:
            store.put_if_absent("k", b"content")
        assert "HTTP 503, SlowDown" in given_up.value.message
        assert "Tried 4 times. Nothing that was stored is lost" in given_up.value.hint

    def test_a_short_body_is_never_taken_for_whole(
        self, store: Retrying, fault_proxy: FaultProxy
    ) -> None:
        store.put_if_absent("k", b"content")
        fault_proxy.answer(Answer(200, "XX", short=True))
        assert store.get("k") == b"content"
