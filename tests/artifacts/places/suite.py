"""What every place has to do; a test of a place inherits it and says how to make one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import threading
from pathlib import Path

import pytest

from hypersdk.artifacts.places.comparing import compare_placed
from hypersdk.artifacts.places.ports import Place
from hypersdk.artifacts.places.pushing import PushedFile
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import (
    AlreadyExists,
    Damaged,
    DataPathError,
    HyperSDKError,
    Interrupted,
    InvalidInput,
    NotFound,
)

MIB = 1 << 20
#: More than two parts of object storage, and not a whole number of anything.
LARGE = random.Random(5).randbytes(18 * MIB + 333)
SMALL = b"sixteen letters!" * 100


class Failing:
    """A stream that breaks off by an error."""

    def __init__(self, content: bytes, error: Exception) -> None:
        self._file = io.BytesIO(content)
        self._error = error

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        if not data:
            raise self._error
        return data


def names(place: Place) -> set[str]:
    return {each.name for each in place.list()}


def content(place: Place, name: str) -> bytes:
    return b"".join(place.read(name))


class PlaceSuite:
    """``place`` is a fixture: an empty place."""

    @pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
    def test_a_file_arrives(self, place: Place, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "source"
        path.write_bytes(data)
        sent: list[int] = []
        paced: list[int] = []
        put = place.put("web/web-disk-0.vmdk", path, progress=sent.append, pace=paced.append)
        assert (put.size, put.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert sum(sent) == sum(paced) == len(data)
        assert content(place, "web/web-disk-0.vmdk") == data
        found = place.stat("web/web-disk-0.vmdk")
        assert (found.name, found.size) == ("web/web-disk-0.vmdk", len(data))
        assert found.modified is not None
        assert names(place) == {"web/web-disk-0.vmdk"}
        compare_placed(place, "web/web-disk-0.vmdk", put.sha256)

    @pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
    def test_a_stream_arrives(self, place: Place, data: bytes) -> None:
        put = place.put("a", io.BytesIO(data))
        assert put.sha256 == hashlib.sha256(data).hexdigest()
        assert content(place, "a") == data

    def test_what_is_pushed_arrives(self, place: Place) -> None:
        with PushedFile(place, "a") as output:
            for at in range(0, len(LARGE), 3_000_000):
                output.write(LARGE[at : at + 3_000_000])
        assert output.placed.size == len(LARGE)
        assert content(place, "a") == LARGE

    def test_nothing_is_replaced_unless_asked(self, place: Place) -> None:
        place.put("a", io.BytesIO(SMALL))
        for data in (b"other", LARGE):
            with pytest.raises(AlreadyExists) as caught:
                place.put("a", io.BytesIO(data))
            assert caught.value.hint
            assert content(place, "a") == SMALL
        for data in (b"other", LARGE):
            place.put("a", io.BytesIO(data), overwrite=True)
            assert content(place, "a") == data

    @pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
    def test_a_source_that_fails_leaves_nothing(self, place: Place, data: bytes) -> None:
        with pytest.raises(DataPathError, match="of the source"):
            place.put("a", Failing(data, DataPathError("an error of the source")))
        assert names(place) == set()
        with pytest.raises(NotFound):
            place.stat("a")

    def test_a_writer_that_fails_leaves_nothing(self, place: Place) -> None:
        with contextlib.suppress(ZeroDivisionError), PushedFile(place, "a") as output:
            output.write(LARGE)
            raise ZeroDivisionError
        assert names(place) == set()

    def test_what_was_announced_must_come(self, place: Place) -> None:
        for wrong in (len(SMALL) + 1, len(SMALL) - 1):
            with pytest.raises(DataPathError, match="were announced"):
                place.put("a", io.BytesIO(SMALL), size=wrong)
        with pytest.raises(DataPathError, match="were announced"):
            place.put("a", io.BytesIO(LARGE), size=len(LARGE) + 1)
        assert names(place) == set()

    def test_cancelling_leaves_nothing_and_is_quick(self, place: Place, tmp_path: Path) -> None:
        path = tmp_path / "source"
        path.write_bytes(LARGE)
        token = CancelToken()
        sent = 0

        def progress(count: int) -> None:
            nonlocal sent
            sent += count
            if sent > 9 * MIB:
                token.cancel()

        with pytest.raises(Interrupted):
            place.put("a", path, progress=progress, cancel=token)
        assert names(place) == set()
        place.put("a", path)
        assert content(place, "a") == LARGE

    def test_deleting(self, place: Place) -> None:
        place.put("a/b", io.BytesIO(SMALL))
        place.delete("a/b")
        place.delete("a/b")
        with pytest.raises(NotFound):
            place.stat("a/b")
        with pytest.raises(NotFound):
            content(place, "a/b")

    def test_listing_a_folder(self, place: Place) -> None:
        for name in ("web/1", "web/2", "db/1", "x"):
            place.put(name, io.BytesIO(name.encode()))
        assert names(place) == {"web/1", "web/2", "db/1", "x"}
        assert {each.name for each in place.list("web")} == {"web/1", "web/2"}
        assert list(place.list("none")) == []

    @pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "", ".", "a//b", "a\\b", "a\0b"])
    def test_no_name_leads_elsewhere(self, place: Place, name: str) -> None:
        with pytest.raises(InvalidInput):
            place.put(name, io.BytesIO(SMALL))
        with pytest.raises(InvalidInput):
            place.stat(name)
        with pytest.raises(InvalidInput):
            place.delete(name)

    def test_several_threads_at_once(self, place: Place) -> None:
        errors: list[Exception] = []

        def put(number: int) -> None:
            try:
                place.put(f"web/disk-{number}", io.BytesIO(SMALL * (number + 1)))
            except HyperSDKError as error:
                errors.append(error)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert {each.size for each in place.list("web")} == {len(SMALL) * n for n in range(1, 7)}

    def test_another_content_is_noticed_when_read_back(self, place: Place) -> None:
        put = place.put("a", io.BytesIO(SMALL))
        place.put("a", io.BytesIO(SMALL + b"x"), overwrite=True)
        with pytest.raises(Damaged, match="not what was sent"):
            compare_placed(place, "a", put.sha256)
