from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hypersdk.datapath import pipeline
from hypersdk.datapath.memory import MemorySource
from hypersdk.datapath.raw import RawSink, RawSource
from hypersdk.model.errors import AlreadyExists, DataPathError, NotFound
from hypersdk.model.extents import Extent, ExtentKind
from tests.datapath.suite import CONTENT, MIB, SinkSuite, SourceSuite


class TestRawSource(SourceSuite):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[RawSource]:
        path = tmp_path / "disk.raw"
        path.write_bytes(CONTENT)
        with RawSource(path) as source:
            yield source


class TestSparseRawSource(SourceSuite):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[RawSource]:
        path = tmp_path / "disk.raw"
        path.touch()
        os.truncate(path, len(CONTENT))
        with RawSink.open_existing(path) as sink:
            for start, end in ((0, 65_536), (2 * MIB, 2 * MIB + 196_608), (3 * MIB, len(CONTENT))):
                sink.write(start, memoryview(CONTENT)[start:end])
        with RawSource(path) as source:
            yield source

    def test_holes_are_zero(self, source: RawSource) -> None:
        zero = sum(e.length for e in source.extents() if e.kind is ExtentKind.ZERO)
        assert zero >= 2 * MIB


class TestNewRawSink(SinkSuite):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> Iterator[RawSink]:
        with RawSink.create(tmp_path / "disk.raw", self.SIZE) as sink:
            yield sink

    @pytest.fixture
    def read_back(self, sink: RawSink) -> Callable[[], bytes]:
        def read() -> bytes:
            sink.commit()
            return sink.path.read_bytes()

        return read


class TestRawSinkInPlace(SinkSuite):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> Iterator[RawSink]:
        path = tmp_path / "disk.raw"
        path.write_bytes(bytes(self.SIZE))
        with RawSink.open_existing(path) as sink:
            yield sink

    @pytest.fixture
    def read_back(self, sink: RawSink) -> Callable[[], bytes]:
        return sink.path.read_bytes


class TestRawSinkWithoutHoles(TestNewRawSink):
    """Where the file system cannot punch holes, zeroes are written over what is there."""

    @pytest.fixture(autouse=True)
    def no_holes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hypersdk.datapath.raw._punched", lambda *_: False)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.touch()
    with RawSource(path) as source:
        assert source.size == 0
        assert list(source.extents()) == []


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        RawSource(tmp_path / "none")


def test_folder_and_fifo_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(DataPathError, match="neither a file nor a block device"):
            RawSource(path)


def test_file_that_shrinks_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(8192))
    with RawSource(path) as source:
        os.truncate(path, 5000)
        with pytest.raises(DataPathError, match="ends at 5000"):
            source.readinto(0, memoryview(bytearray(8192)))


def test_nothing_under_the_final_name_before_commit(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    with RawSink.create(path, 4096) as sink:
        (partial,) = tmp_path.iterdir()
        assert partial.name.startswith(".disk.raw.")
        assert partial.name.endswith(".partial")
        assert partial.stat().st_mode & 0o777 == 0o600
        sink.commit()
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == [path]


def test_closing_without_commit_leaves_nothing(tmp_path: Path) -> None:
    sink = RawSink.create(tmp_path / "disk.raw", 4096)
    clone = sink.clone()
    sink.close()
    clone.write(0, memoryview(b"x"))  # the clone still holds the file
    clone.close()
    assert list(tmp_path.iterdir()) == []


def test_zero_areas_take_no_space(tmp_path: Path) -> None:
    with RawSink.create(tmp_path / "disk.raw", 64 * MIB) as sink:
        sink.write(0, memoryview(bytes(b"x" * 2 * MIB)))
        sink.zero(0, MIB)
        sink.zero(2 * MIB, 62 * MIB)
        sink.commit()
    assert sink.path.stat().st_blocks * 512 <= MIB + 65_536


def test_existing_target_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"precious")
    with pytest.raises(AlreadyExists):
        RawSink.create(path, 4096)
    with RawSink.create(path, 4096, overwrite=True) as sink:
        assert path.read_bytes() == b"precious"
        sink.commit()
    assert path.read_bytes() == bytes(4096)


def test_target_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    with RawSink.create(path, 4096) as sink:
        path.write_bytes(b"precious")
        with pytest.raises(AlreadyExists):
            sink.commit()
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, ".hidden", "with space"])
def test_names_of_any_length(tmp_path: Path, name: str) -> None:
    with RawSink.create(tmp_path / name, 1) as sink:
        sink.commit()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_target_in_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"disk\.raw"):
        RawSink.create(tmp_path / "none" / "disk.raw", 1)


def test_file_size_limit_is_a_clear_error(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        with pytest.raises(DataPathError, match="too large") as caught:
            RawSink.create(tmp_path / "disk.raw", 2 * MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "ulimit" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_a_clear_error_and_leaves_nothing(small_disk: Path) -> None:
    source = MemorySource(b"x" * 8 * MIB)
    path = small_disk / "disk.raw"
    with RawSink.create(path, source.size) as sink:
        with pytest.raises(DataPathError, match="No space left") as caught:
            pipeline.copy(source, sink)
        assert str(path) in str(caught.value)
        assert "Free some space" in caught.value.hint
    assert list(small_disk.iterdir()) == []


def test_read_only_file_system(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DataPathError, match="Read-only"):
        RawSink.create(small_disk / "disk.raw", 1)


@pytest.fixture
def loop_device(tmp_path: Path) -> Iterator[Path]:
    backing = tmp_path / "backing"
    backing.write_bytes(CONTENT)
    command = ["losetup", "--find", "--show", str(backing)]
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            device = Path(done.stdout.strip())
            yield device
            subprocess.run(["losetup", "--detach", str(device)], check=True)
            return
    pytest.skip("making a block device needs root and loop devices")


def test_block_device(loop_device: Path) -> None:
    with RawSource(loop_device) as source:
        assert list(source.extents()) == [Extent(0, len(CONTENT), ExtentKind.DATA)]
        found = bytearray(len(CONTENT))
        source.readinto(0, memoryview(found))
        assert found == CONTENT
    with RawSink.open_existing(loop_device) as sink:
        sink.write(MIB, memoryview(b"y" * 4096))
        sink.zero(2 * MIB, MIB)
        sink.commit()
    expected = bytearray(CONTENT)
    expected[MIB : MIB + 4096] = b"y" * 4096
    expected[2 * MIB : 3 * MIB] = bytes(MIB)
    assert loop_device.read_bytes() == expected
