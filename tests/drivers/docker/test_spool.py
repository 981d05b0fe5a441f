from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk.drivers.docker.spool import Spool
from hypersdk.model.errors import NotFound
from tests.datapath.test_archive import archive, listing
from tests.repository.examples import noise


def test_a_file_that_nobody_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(tmp_path))
    plain = archive({"a": noise(5000)})
    with Spool() as spool:
        spool.fill([plain])
        assert not os.listdir(tmp_path)
        with spool.source() as source:
            spool.close()  # handles on it stay good
            content = bytearray(source.size)
            source.readinto(0, memoryview(content))
    assert listing(bytes(content)) == listing(plain)


def test_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(tmp_path))
    with Spool(9) as spool:
        with spool.sink() as sink:
            sink.write(3, memoryview(b"abc"))
        with spool.stream() as stream:
            assert stream.read() == b"\0\0\0abc\0\0\0"


def test_no_such_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(tmp_path / "none"))
    with pytest.raises(NotFound):
        Spool()
