"""Object storage is a place: S3, and by the same server Google's XML interface."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from urllib.request import urlopen

import pytest

from hypersdk.artifacts.places.buckets import azure_place, google_place, s3_place
from hypersdk.artifacts.places.objects import PART, _part_size
from hypersdk.artifacts.places.ports import Place
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import (
    DataPathError,
    Interrupted,
    InvalidInput,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from tests.artifacts.places.suite import LARGE, SMALL, Failing, PlaceSuite, names


def split(location: str) -> tuple[str, str]:
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    return bucket, prefix


class TestS3(PlaceSuite):
    """As every place."""

    @pytest.fixture
    def place(self, s3_location: str) -> Place:
        return s3_place(*split(s3_location))

    def test_parts_that_failed_are_not_left(self, place: Place, s3_server: str) -> None:
        with pytest.raises(DataPathError):
            place.put("a", Failing(LARGE, DataPathError("broken")))
        with urlopen(f"{s3_server}/lab?uploads", timeout=10) as answer:
            assert b"<Upload>" not in answer.read()

    def test_requests_are_signed(self, place: Place) -> None:
        assert place.put("a", io.BytesIO(SMALL)).confirmed == "signature"


class TestGoogle(PlaceSuite):
    """As every place."""

    @pytest.fixture
    def place(self, s3_location: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Place:
        monkeypatch.setenv("GOOGLE_BASE_URL", s3_server)
        # The server finds out by the credentials' scope that it is asked for storage.
        monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "token/20260101/us-east-1/s3/aws4_request")
        return google_place(*split(s3_location))


def test_a_bucket_that_is_not_there_is_named(s3_location: str) -> None:
    with pytest.raises(StoreError, match="no such bucket"):
        s3_place("nowhere", "").put("a", io.BytesIO(SMALL), overwrite=True)


def test_a_server_that_is_not_there_is_unavailable(
    s3_location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    token = CancelToken()
    with pytest.raises(StoreUnavailable) as caught:
        s3_place("lab", "").put("a", io.BytesIO(SMALL), cancel=token, overwrite=True)
    assert caught.value.hint


def test_a_request_that_hangs_can_be_cancelled(
    s3_location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # noqa: PLC0415
    import threading  # noqa: PLC0415
    import time  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, never answers
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        token = CancelToken()
        threading.Timer(0.5, token.cancel).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            s3_place("lab", "").put("a", io.BytesIO(SMALL), cancel=token, overwrite=True)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("missing", ["account", "key"])
def test_azure_without_credentials_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    if missing == "key":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "lab")
    with pytest.raises(StoreDenied) as caught:
        azure_place("exports", "")
    assert "AZURE_STORAGE_ACCOUNT" in caught.value.hint


def test_a_key_of_azure_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "lab")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "hunter2!")
    with pytest.raises(StoreDenied) as caught:
        azure_place("exports", "")
    assert "hunter2" not in str(caught.value)


def test_google_without_credentials_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreDenied) as caught:
        google_place("exports", "")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.hint
    (tmp_path / "key.json").write_text("no key")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises((StoreDenied, InvalidInput)):
        google_place("exports", "")


def test_any_size_fits_into_the_parts_that_s3_takes() -> None:
    for size in (0, PART, 100 << 30, 5 << 40):
        assert -(-size // _part_size(size)) <= 10_000
    assert _part_size(100 << 30) <= 16 << 20


def test_memory_does_not_grow_with_the_file(s3_location: str, tmp_path: Path) -> None:
    class Zeros:
        left = 192 << 20

        def read(self, count: int) -> bytes:
            count = min(count, self.left, 1 << 20)
            self.left -= count
            return bytes(count)

    place = s3_place(*split(s3_location))
    tracemalloc.start()
    try:
        place.put("a", Zeros(), size=192 << 20)
        # moto keeps what it is given, in this process, so only our share is looked at.
        ours = [tracemalloc.Filter(True, f"*/hypersdk/{each}") for each in ("*", "*/*", "*/*/*")]
        snapshot = tracemalloc.take_snapshot().filter_traces(ours)
        assert sum(each.size for each in snapshot.statistics("filename")) < 64 << 20
    finally:
        tracemalloc.stop()
    assert names(place) == {"a"}
