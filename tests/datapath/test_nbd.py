from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hypersdk.datapath import pipeline
from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.nbd import NbdSink, NbdSource, _merged, is_nbd_uri
from hypersdk.datapath.nbdconnection import public_uri
from hypersdk.datapath.raw import RawSource
from hypersdk.model.errors import DataPathError, EndpointTimeout, Interrupted
from hypersdk.model.extents import Extent, ExtentKind
from tests.datapath.servers import Server, nbdkit, qemu_io, qemu_nbd, run
from tests.datapath.suite import CONTENT, MIB, SinkSuite, SourceSuite

D, Z, U = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.UNCHANGED


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(CONTENT)
    return path


class TestNbdSource(SourceSuite):
    """qemu-nbd: block status, several connections."""

    @pytest.fixture
    def source(self, tmp_path: Path, image: Path) -> Iterator[NbdSource]:
        with (
            qemu_nbd(tmp_path, image, "--read-only", "--format=raw") as server,
            NbdSource(server.uri) as source,
        ):
            yield source


class TestNbdSourceWithBigBlocks(SourceSuite):
    """A server that takes only whole blocks of 4 KiB and at most 64 KiB at once."""

    @pytest.fixture
    def source(self, tmp_path: Path, image: Path) -> Iterator[NbdSource]:
        sizes = ("blocksize-minimum=4096", "blocksize-preferred=4096", "blocksize-maximum=65536")
        policy = ("file", str(image), "blocksize-error-policy=error")
        with (
            nbdkit(tmp_path, "--filter=blocksize-policy", *policy, *sizes) as server,
            NbdSource(server.uri) as source,
        ):
            yield source


class TestNbdSourceOfOneClient(SourceSuite):
    """No multi-conn, no structured replies: clones share the one connection, all is data."""

    @pytest.fixture
    def source(self, tmp_path: Path, image: Path) -> Iterator[NbdSource]:
        limits = ("--filter=multi-conn", "--filter=limit", "--no-sr")
        options = ("multi-conn-mode=disable", "limit=1")
        with (
            nbdkit(tmp_path, *limits, "file", str(image), *options) as server,
            NbdSource(server.uri, timeout=5) as source,
        ):
            yield source

    def test_without_block_status_all_is_data(self, source: NbdSource) -> None:
        assert list(source.extents()) == [Extent(0, source.size, D)]


class TestNbdSink(SinkSuite):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        path = tmp_path / "target.raw"
        path.write_bytes(bytes(self.SIZE))
        return path

    @pytest.fixture
    def sink(self, tmp_path: Path, target: Path) -> Iterator[NbdSink]:
        with (
            qemu_nbd(tmp_path, target, "--format=raw") as server,
            NbdSink(server.uri) as sink,
        ):
            yield sink

    @pytest.fixture
    def read_back(self, sink: NbdSink, target: Path) -> Callable[[], bytes]:
        return target.read_bytes


class TestNbdSinkWithoutZero(TestNbdSink):
    """A server that can neither zero nor take several clients, with a small request limit."""

    @pytest.fixture
    def sink(self, tmp_path: Path, target: Path) -> Iterator[NbdSink]:
        filters = ("--filter=multi-conn", "--filter=nozero", "--filter=blocksize-policy")
        options = ("multi-conn-mode=disable", "blocksize-minimum=1", "blocksize-maximum=65536")
        with (
            nbdkit(tmp_path, *filters, "file", str(target), *options) as server,
            NbdSink(server.uri, timeout=5) as sink,
        ):
            yield sink


def test_read_only_export_is_no_sink(tmp_path: Path, image: Path) -> None:
    with (
        qemu_nbd(tmp_path, image, "--read-only", "--format=raw") as server,
        pytest.raises(DataPathError, match="is read-only"),
    ):
        NbdSink(server.uri)


@pytest.mark.parametrize(("multi", "connections"), [("auto", 3), ("disable", 1)])
def test_connections(tmp_path: Path, image: Path, multi: str, connections: int) -> None:
    mode = ("--filter=multi-conn", f"multi-conn-mode={multi}")
    with nbdkit(tmp_path, mode[0], "file", str(image), mode[1]) as server:
        source = NbdSource(server.uri)
        clones = [source.clone(), source.clone()]
        assert len({id(handle._connection) for handle in (source, *clones)}) == connections
        clones[0].close()
        clones[1].readinto(0, memoryview(bytearray(10)))
        clones[1].close()
        source.readinto(0, memoryview(bytearray(10)))
        source.close()


@pytest.fixture
def dirty_image(tmp_path: Path) -> Path:
    """qcow2 with a bitmap that was started between two rounds of writes, and one started after."""
    path = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "64M")
    qemu_io(path, "write -q -P 1 0 2M", "write -q -P 1 8M 4M")
    run("qemu-img", "bitmap", "--add", path, "since")
    qemu_io(path, "write -q -P 2 1M 1M", "write -q -z 8M 1M", "discard -q 9M 1M")
    run("qemu-img", "bitmap", "--add", path, "idle")
    return path


def test_zeroed_and_discarded_areas_are_zero_not_unchanged(
    tmp_path: Path, dirty_image: Path
) -> None:
    options = ("--read-only", "--format=qcow2", "--bitmap=since")
    with qemu_nbd(tmp_path, dirty_image, *options) as server:
        with NbdSource(server.uri, "since") as source:
            assert list(source.extents()) == [
                Extent(0, MIB, U),
                Extent(MIB, MIB, D),
                Extent(2 * MIB, 6 * MIB, U),
                Extent(8 * MIB, 2 * MIB, Z),
                Extent(10 * MIB, 54 * MIB, U),
            ]
            assert list(source.extents(9 * MIB, 2 * MIB)) == [
                Extent(9 * MIB, MIB, Z),
                Extent(10 * MIB, MIB, U),
            ]
        with NbdSource(server.uri) as source:
            assert list(source.extents()) == [
                Extent(0, 2 * MIB, D),
                Extent(2 * MIB, 8 * MIB, Z),
                Extent(10 * MIB, 2 * MIB, D),
                Extent(12 * MIB, 52 * MIB, Z),
            ]


def test_incremental_copy_by_bitmap(tmp_path: Path, dirty_image: Path) -> None:
    before = bytearray(64 * MIB)
    before[: 2 * MIB] = b"\1" * 2 * MIB
    before[8 * MIB : 12 * MIB] = b"\1" * 4 * MIB
    sink = MemorySink(len(before), granularity=MIB, initial=bytes(before))
    options = ("--read-only", "--format=qcow2", "--bitmap=since")
    with (
        qemu_nbd(tmp_path, dirty_image, *options) as server,
        NbdSource(server.uri, "since") as source,
    ):
        pipeline.copy(source, sink)
    run("qemu-img", "convert", "-O", "raw", dirty_image, tmp_path / "now.raw")
    assert sink.content == (tmp_path / "now.raw").read_bytes()


def test_missing_bitmap_names_those_on_offer(tmp_path: Path, dirty_image: Path) -> None:
    with (
        qemu_nbd(tmp_path, dirty_image, "-r", "--format=qcow2", "--bitmap=idle") as server,
        pytest.raises(DataPathError, match="no dirty bitmap 'since'") as caught,
    ):
        NbdSource(server.uri, "since")
    assert "idle" in caught.value.hint


def test_missing_bitmap_of_a_server_without_any(tmp_path: Path, image: Path) -> None:
    with (
        nbdkit(tmp_path, "file", str(image)) as server,
        pytest.raises(DataPathError, match="no dirty bitmap 'x'") as caught,
    ):
        NbdSource(server.uri, "x")
    assert "offers no dirty bitmap" in caught.value.hint


def test_hole_without_the_zero_flag_is_data() -> None:
    assert list(_merged([10, 1, 5, 3], None, 15)) == [(10, 1, 1), (5, 3, 1)]


def test_descriptions_of_different_length_are_joined() -> None:
    base, dirty = [4, 0, 4, 3, 100, 0], [6, 1, 1, 0]
    assert list(_merged(base, dirty, 50)) == [(4, 0, 1), (2, 3, 1), (1, 3, 0)]
    assert list(_merged([100, 0], [100, 1], 50)) == [(50, 0, 1)]
    assert list(_merged([], [100, 1], 50)) == []


def test_disk_larger_than_one_status_request(tmp_path: Path) -> None:
    with nbdkit(tmp_path, "memory", "5G") as server:
        with NbdSink(server.uri) as sink:
            sink.write(4 << 30, memoryview(b"x" * 65_536))
            sink.zero(0, 4 << 30)
            sink.flush()
        with NbdSource(server.uri) as source:
            data = [extent for extent in source.extents() if extent.kind is D]
            assert source.size == 5 << 30
            assert data == [Extent(4 << 30, 65_536, D)]


def test_requests_larger_than_the_server_takes_are_split(tmp_path: Path) -> None:
    content = MemorySource(CONTENT * 14)
    assert content.size > 40 * MIB
    with nbdkit(tmp_path, "memory", str(content.size)) as server:
        with NbdSink(server.uri) as sink:
            pipeline.copy(content, sink, request_size=40 * MIB, workers=1)
        with NbdSource(server.uri) as source:
            found = bytearray(content.size)
            source.readinto(0, memoryview(found))
    assert found == CONTENT * 14


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Server]:
    """A server that answers the handshake and never a read."""
    with nbdkit(tmp_path, "--filter=delay", "pattern", "10M", "rdelay=3600") as server:
        yield server


def test_silent_server_times_out(hanging: Server) -> None:
    with NbdSource(hanging.uri, timeout=0.6) as source:
        began = time.monotonic()
        with pytest.raises(EndpointTimeout, match=r"silent for 0\.6 s"):
            source.readinto(0, memoryview(bytearray(4096)))
        assert 0.5 < time.monotonic() - began < 2
        with pytest.raises(DataPathError, match="given up"):
            source.readinto(0, memoryview(bytearray(4096)))


def test_stopped_server_times_out_on_connecting(tmp_path: Path) -> None:
    with nbdkit(tmp_path, "memory", "10M") as server:
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(EndpointTimeout):
            NbdSource(server.uri, timeout=0.4)


@pytest.mark.parametrize("wrapped", [True, False])
def test_cancel_stops_a_hanging_copy(hanging: Server, wrapped: bool) -> None:
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    with NbdSource(hanging.uri) as source:
        began = time.monotonic()
        scope = contextlib.nullcontext() if wrapped else token.scope()
        watched = Cancellable(source, token) if wrapped else source
        with scope, pytest.raises(Interrupted):
            pipeline.copy(watched, MemorySink(source.size))
        assert time.monotonic() - began < 2


def test_cancel_stops_a_copy_to_a_hanging_target(tmp_path: Path) -> None:
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    with (
        nbdkit(tmp_path, "--filter=delay", "memory", "10M", "wdelay=3600") as server,
        NbdSink(server.uri) as sink,
        token.scope(),
    ):
        began = time.monotonic()
        with pytest.raises(Interrupted):
            pipeline.copy(MemorySource(b"x" * 10 * MIB), sink)
        assert time.monotonic() - began < 2


def test_server_that_dies_is_an_error(tmp_path: Path) -> None:
    with nbdkit(tmp_path, "memory", "10M") as server, NbdSource(server.uri) as source:
        server.process.kill()
        server.process.wait()
        with pytest.raises(DataPathError):
            source.readinto(0, memoryview(bytearray(4096)))


def test_read_error_of_the_server_is_the_one_raised(tmp_path: Path, image: Path) -> None:
    errors = ("--filter=error", "file", str(image), "error-pread=EIO", "error-pread-rate=100%")
    with (
        nbdkit(tmp_path, *errors) as server,
        NbdSource(server.uri) as source,
        pytest.raises(DataPathError, match=r"cannot read .* at \d+: .*Input/output error"),
    ):
        pipeline.copy(source, MemorySink(source.size))


def test_full_target_names_the_reason(tmp_path: Path) -> None:
    errors = ("--filter=error", "memory", "10M", "error-pwrite=ENOSPC", "error-pwrite-rate=100%")
    with (
        nbdkit(tmp_path, *errors) as server,
        NbdSink(server.uri) as sink,
        pytest.raises(DataPathError, match="No space left") as caught,
    ):
        sink.write(0, memoryview(bytes(4096)))
    assert "server" in caught.value.hint


def test_refused_connection_and_missing_export(tmp_path: Path, dirty_image: Path) -> None:
    with pytest.raises(DataPathError, match="cannot connect"):
        NbdSource(f"nbd+unix:///?socket={tmp_path}/none")
    with (
        qemu_nbd(tmp_path, dirty_image, "-r", "--format=qcow2") as server,
        pytest.raises(DataPathError, match="nosuch"),
    ):
        NbdSource(server.uri.replace("///", "///nosuch"))


def test_credentials_are_not_shown() -> None:
    uri = "nbds://alice:hush@127.0.0.1:1/x"
    with pytest.raises(DataPathError) as caught:
        NbdSource(uri)
    assert "hush" not in str(caught.value)
    assert "alice" not in str(caught.value)
    assert public_uri(uri) == "nbds://127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nbd://host/x", True),
        ("nbds://host", True),
        ("nbd+unix:///x?socket=/s", True),
        ("nbd", False),
        ("/nbd://x", False),
        ("nbd:unix:/x", False),
    ],
)
def test_uris_and_paths_are_told_apart(text: str, expected: bool) -> None:
    assert is_nbd_uri(text) is expected


def test_importing_the_package_loads_no_cffi() -> None:
    code = "import sys, hypersdk.datapath, hypersdk.datapath.nbd; sys.exit('cffi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_export_of_a_raw_image_reads_as_the_file(tmp_path: Path, image: Path) -> None:
    with (
        qemu_nbd(tmp_path, image, "-r", "--format=raw") as server,
        NbdSource(server.uri) as export,
        RawSource(image) as raw,
    ):
        sinks = MemorySink(export.size), MemorySink(raw.size)
        pipeline.copy(export, sinks[0])
        pipeline.copy(raw, sinks[1])
    assert sinks[0].content == sinks[1].content
