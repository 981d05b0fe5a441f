from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cffi import FFI

from hypersdk.datapath import libnbd, open_source, pipeline
from hypersdk.datapath.image import (
    PACKINGS,
    TARGET_FORMATS,
    ImageSink,
    create_image,
    open_image,
)
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.nbd import NbdSource
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.raw import RawSource
from hypersdk.model.errors import AlreadyExists, DataPathError, InvalidInput, MissingRequirement
from hypersdk.model.extents import ExtentKind
from tests.components import require
from tests.datapath.servers import nbdkit, qemu_io, run
from tests.datapath.suite import CONTENT, MIB, SinkSuite, SourceSuite, read_all

FORMATS = [format for format in TARGET_FORMATS if format != "raw"]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    require("qemu-nbd", "qemu-img", "qemu-io")
    before = children()
    yield
    assert children() == before


def children() -> set[str]:
    """Process ids of the children of this process."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def written(path: Path, format: str) -> Path:
    """An image with CONTENT, made by QEMU alone."""
    raw = path.with_name("content")
    raw.write_bytes(CONTENT)
    run("qemu-img", "convert", "-f", "raw", "-O", format, raw, path)
    return path


@pytest.mark.parametrize("format", FORMATS, scope="class")
class TestImageSource(SourceSuite):
    @pytest.fixture
    def source(self, tmp_path: Path, format: str) -> Iterator[BlockSource]:
        with open_image(written(tmp_path / f"disk.{format}", format)) as source:
            yield source


@pytest.mark.parametrize("format", ["qcow2", "vmdk", "vdi"])  # the others have larger blocks
def test_zero_areas_are_known(tmp_path: Path, format: str) -> None:
    with open_image(written(tmp_path / f"disk.{format}", format)) as source:
        zero = sum(e.length for e in source.extents() if e.kind is ExtentKind.ZERO)
    assert zero >= MIB


@pytest.mark.parametrize("format", FORMATS, scope="class")
class TestImageSink(SinkSuite):
    @pytest.fixture
    def sink(self, tmp_path: Path, format: str) -> Iterator[ImageSink]:
        with create_image(tmp_path / f"disk.{format}", self.SIZE, format) as sink:
            assert isinstance(sink, ImageSink)
            yield sink

    @pytest.fixture
    def read_back(self, sink: ImageSink, tmp_path: Path) -> Callable[[], bytes]:
        def read() -> bytes:
            sink.commit()
            run("qemu-img", "convert", "-O", "raw", sink.path, tmp_path / "back")
            return (tmp_path / "back").read_bytes()

        return read


@pytest.mark.parametrize("format", TARGET_FORMATS)
def test_round_trip(tmp_path: Path, format: str) -> None:
    (tmp_path / "original").write_bytes(CONTENT)
    target = tmp_path / f"disk.{format}"
    with (
        RawSource(tmp_path / "original") as source,
        create_image(target, source.size, format) as sink,
    ):
        pipeline.copy(source, sink)
        sink.commit()
    run("qemu-img", "compare", "-f", "raw", "-F", format, tmp_path / "original", target)
    with open_source(target) as copied:
        assert read_all(copied) == CONTENT
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["original", target.name])


@pytest.mark.parametrize("format", TARGET_FORMATS)
def test_odd_sizes_are_rounded_up_with_zeroes(tmp_path: Path, format: str) -> None:
    content = b"x" * (MIB + 1000)
    target = tmp_path / "disk"
    with create_image(target, len(content), format) as sink:
        assert 0 <= sink.size - len(content) < 512
        pipeline.copy(MemorySource(content), sink)
        sink.commit()
        size = sink.size
    with open_image(target, format) as source:
        assert read_all(source) == content.ljust(size, b"\0")


@pytest.mark.parametrize("format", FORMATS)
def test_zero_areas_take_no_space(tmp_path: Path, format: str) -> None:
    with create_image(tmp_path / "disk", 256 * MIB, format) as sink:
        sink.write(0, memoryview(b"x" * 65_536))
        sink.zero(65_536, 256 * MIB - 65_536)
        sink.commit()
    assert (tmp_path / "disk").stat().st_blocks * 512 < 24 * MIB


def test_closing_without_commit_leaves_nothing(tmp_path: Path) -> None:
    with create_image(tmp_path / "disk.qcow2", MIB, "qcow2") as sink:
        sink.write(0, memoryview(bytes(4096)))
    assert list(tmp_path.iterdir()) == []


def test_existing_target(tmp_path: Path) -> None:
    target = tmp_path / "disk.qcow2"
    target.write_bytes(b"precious")
    with pytest.raises(AlreadyExists):
        create_image(target, MIB, "qcow2")
    assert target.read_bytes() == b"precious"
    with create_image(target, MIB, "qcow2", overwrite=True) as sink:
        sink.commit()
    with open_source(target) as source:
        assert source.size == MIB


def test_unknown_target_format(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="vhd2"):
        create_image(tmp_path / "disk", MIB, "vhd2")


def test_full_disk_while_writing(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        source = MemorySource(b"x" * 8 * MIB)
        with (
            create_image(folder / "disk.qcow2", source.size, "qcow2") as sink,
            pytest.raises(DataPathError, match="No space left"),
        ):
            pipeline.copy(source, sink)
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_names_with_special_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b:c,d=é'\"{}%"
    folder.mkdir()
    target = folder / "json:disk, x.qcow2"
    with create_image(target, len(CONTENT), "qcow2") as sink:
        pipeline.copy(MemorySource(CONTENT), sink)
        sink.commit()
    with open_source(target) as source:
        assert read_all(source) == CONTENT


def test_image_in_use_by_a_writer_is_refused_clearly(tmp_path: Path) -> None:
    path = written(tmp_path / "disk.qcow2", "qcow2")
    with subprocess.Popen(["qemu-io", str(path)], stdin=subprocess.PIPE) as guest:
        time.sleep(0.3)
        with pytest.raises(DataPathError, match="lock") as caught:
            open_image(path)
        guest.kill()
    assert "guest" in caught.value.hint


def test_changes_are_seen_by_the_next_handle(tmp_path: Path) -> None:
    path = written(tmp_path / "disk.qcow2", "qcow2")
    open_image(path).close()
    qemu_io(path, "write -q -P 7 64k 4k")
    with open_image(path) as source:
        assert read_all(source)[65_536:69_632] == b"\7" * 4096


@pytest.mark.parametrize(
    "moment",
    [
        "image.open_image(sys.argv[1])",
        "image.create_image(sys.argv[1] + '.new', 1 << 20, 'qcow2')",
        # between starting the process and the first connection
        "qemunbd.ImageServer(imageinspect.spelled(imageinspect.inspect(sys.argv[1])), 'x')",
    ],
)
def test_killed_process_leaves_no_server(tmp_path: Path, moment: str) -> None:
    path = written(tmp_path / "disk.qcow2", "qcow2")
    code = f"""
import os, sys
from hypersdk.datapath import image, imageinspect, qemunbd
held = {moment}
os.kill(os.getpid(), {signal.SIGKILL})
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    deadline = time.monotonic() + 5
    while left := speaking_of(tmp_path):
        assert time.monotonic() < deadline, f"outlived its owner: {left}"
        time.sleep(0.02)


def speaking_of(folder: Path) -> list[str]:
    """Command lines of running processes that name a file in ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = process.read_bytes()
            if os.fsencode(folder) in line:
                found.append(line.decode(errors="replace"))
    return found


def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "disk.qcow2", "qcow2")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRequirement, match="qemu-img") as caught:
        open_image(path)
    assert "apt-get install qemu-utils" in caught.value.hint
    with pytest.raises(MissingRequirement, match="qemu"):
        create_image(tmp_path / "new.qcow2", MIB, "qcow2")
    assert not list(tmp_path.glob(".*"))


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise OSError("cannot open shared object file")

    libnbd.load.cache_clear()
    monkeypatch.setattr(FFI, "dlopen", missing)
    with pytest.raises(MissingRequirement, match="libnbd") as caught:
        NbdSource("nbd://127.0.0.1")
    assert "apt-get install libnbd0" in caught.value.hint


def test_open_source_tells_uris_files_and_formats_apart(tmp_path: Path) -> None:
    raw = tmp_path / "disk.img"
    raw.write_bytes(CONTENT)
    with open_source(raw) as source:
        assert isinstance(source, RawSource)
    with open_source(str(written(tmp_path / "disk.qcow2", "qcow2")), format="raw") as source:
        assert isinstance(source, RawSource)
    with nbdkit(tmp_path, "memory", "1M") as server, open_source(server.uri) as source:
        assert isinstance(source, NbdSource)
        sink = MemorySink(source.size)
        pipeline.copy(source, sink)
        assert sink.content == bytes(MIB)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("size", [4 * MIB, 3 * MIB + 512, MIB + 65536])
def test_clusters_of_qcow2_are_packed(tmp_path: Path, packing: str, size: int) -> None:
    content = (CONTENT * 2)[: size - 1000].ljust(size, b"\0")
    target = tmp_path / "disk.qcow2"
    with create_image(target, size, "qcow2", packing=packing) as sink:
        pipeline.copy(MemorySource(content), sink)
        sink.commit()
    with open_image(target) as source:
        assert source.size == size
        assert read_all(source) == content
    assert target.stat().st_size < size // 2 + MIB


@pytest.mark.parametrize(
    ("format", "packing"), [("raw", "zlib"), ("vmdk", "zlib"), ("qcow2", "lz4")]
)
def test_what_cannot_be_packed_is_refused(tmp_path: Path, format: str, packing: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_image(tmp_path / "disk", MIB, format, packing=packing)
    assert caught.value.hint
