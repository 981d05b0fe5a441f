"""What is written is the disk, for our reader and for QEMU's."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.memory import MemorySink, MemorySource
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.raw import RawSource
from hypersdk.datapath.streamvmdk import SECTOR, StreamVmdkSource
from hypersdk.datapath.streamvmdkwriter import GRAIN, TABLE_SPAN, write_stream_vmdk
from hypersdk.model.errors import Interrupted, InvalidInput
from tests.components import require
from tests.datapath.suite import CONTENT


def written(content: bytes) -> bytes:
    output = io.BytesIO()
    length = write_stream_vmdk(MemorySource(content), output, name="disk.vmdk", workers=3)
    assert length == len(output.getvalue())
    return output.getvalue()


def read(stream: bytes) -> bytes:
    source = StreamVmdkSource(io.BytesIO(stream))
    sink = MemorySink(source.size)
    copy(source, sink)
    return sink.content


def test_qemu_reads_it(tmp_path: Path) -> None:
    """Several grain tables, one of them empty, and an end within a grain."""
    require("qemu-img")
    raw, vmdk = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    with raw.open("wb") as file:
        for place in (0, 5 * GRAIN - 100, 3 * TABLE_SPAN - 10, 4 * TABLE_SPAN + GRAIN):
            file.seek(place)
            file.write(CONTENT[: GRAIN + 1000])
        file.truncate(4 * TABLE_SPAN + 3 * GRAIN + SECTOR)
    with RawSource(raw) as source, vmdk.open("wb") as output:
        write_stream_vmdk(source, output, name=vmdk.name)
    compare = ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", str(raw), str(vmdk)]
    done = subprocess.run(compare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Images are identical.\n")
    assert read(vmdk.read_bytes()) == raw.read_bytes()


@given(st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=300)), max_size=8))
def test_any_disk_comes_back(writes: list[tuple[int, bytes]]) -> None:
    content = bytearray(40 * 8 * SECTOR + SECTOR)
    for place, data in writes:
        at = min(place * 8 * SECTOR, len(content) - len(data))
        content[at : at + len(data)] = data
    assert read(written(bytes(content))) == content


def test_zeroes_take_no_room_even_when_called_data() -> None:
    assert len(written(bytes(64 << 20))) < 128 * SECTOR + 8 * SECTOR


def test_a_disk_of_broken_sectors_is_refused() -> None:
    with pytest.raises(InvalidInput, match="1000 bytes"):
        written(bytes(1000))


def test_a_cancelled_one_ends() -> None:
    token = CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(Interrupted):
        written(CONTENT)
