from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hypersdk.datapath.memory import MemorySink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.streamvmdk import Hash, Record
from hypersdk.drivers.diskports import BackupView, ViewOptions
from hypersdk.drivers.vsphere.nfc import NfcSource, StreamDigest
from hypersdk.flows.exporting.outputs import NewFile
from hypersdk.model.errors import DataPathError
from tests.drivers.vsphere.reading import Machines, disk_of, machines

__all__ = ["machines"]

STREAM, PADDING = b"a stream" * 1000, bytes(512)
DIGEST = hashlib.sha256(STREAM + PADDING).hexdigest()


class Lying:
    """Digests something else than it is given."""

    def write(self, data: bytes, /) -> int:
        return len(data)

    def digesting(self, algorithm: str) -> Hash | None:
        return hashlib.new(algorithm, b"something else")


def test_a_stream_is_digested_as_it_comes() -> None:
    digest = StreamDigest("sha256")
    digest.made_by(object())  # which makes none
    digest.received(STREAM + PADDING)
    digest.after_end(PADDING)  # it came before it was known to be padding
    assert digest.hexdigest() == DIGEST


@pytest.mark.parametrize("algorithms", [{"sha256", "blake3"}, {"sha512"}])
def test_a_file_that_digests_it_does_so_for_both(tmp_path: Path, algorithms: set[str]) -> None:
    digest = StreamDigest("sha256")
    with NewFile(tmp_path / "disk.vmdk", algorithms) as file:
        digest.made_by(file)
        digest.received(STREAM + PADDING)
        file.write(STREAM)
    digest.after_end(PADDING)
    assert digest.hexdigest() == DIGEST
    if "sha256" in algorithms:
        assert file.digests["sha256"] == hashlib.sha256(STREAM).hexdigest()


def test_a_file_that_was_begun_has_no_digest_for_others(tmp_path: Path) -> None:
    with NewFile(tmp_path / "disk.vmdk", {"sha256"}) as file:
        file.write(b"header")
        assert file.digesting("sha256") is None


def test_the_digest_of_who_records_is_what_is_compared(machines: Machines, tmp_path: Path) -> None:
    name = machines.make()
    with machines.disks.view(name, {}, ViewOptions()) as view:
        with NewFile(tmp_path / "disk.vmdk", {"sha256"}) as file:
            _recorded(view, file)
        packed = (tmp_path / "disk.vmdk").read_bytes()
        assert file.digests["sha256"] == hashlib.sha256(packed).hexdigest()
    with (
        machines.disks.view(name, {}, ViewOptions()) as view,
        pytest.raises(DataPathError, match="did not come as it was sent"),
    ):
        _recorded(view, Lying())


def _recorded(view: BackupView, recorder: Record) -> None:
    source = disk_of(view).open(full=True)
    assert isinstance(source, NfcSource)
    with source:
        source.record(recorder)
        copy(source, MemorySink(source.size))
