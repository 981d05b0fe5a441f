"""Memory does not grow with the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from tests.components import require
from tests.flows.exporting.examples import MIB
from tests.repository.examples import noise

#: MiB, for any size of disk.
MOST = 250


@pytest.mark.parametrize("format", ["ovf", "ova", "qcow2"])
def test_a_large_disk_takes_no_more_memory(tmp_path: Path, format: str) -> None:
    require("qemu-img", "qemu-nbd")
    mock = MockHypervisor(tmp_path / "lab")
    mock.create_instance("web", {"vda": 500 << 30})
    content = memoryview(noise(MIB))
    with mock.disks.rewrite("web") as rewriting, rewriting.sink("vda") as sink:
        for at in range(0, 500 << 30, 8 << 30):
            sink.write(at, content)
        for at in range(100 << 30, (100 << 30) + 64 * MIB, MIB):
            sink.write(at, content)
        sink.flush()
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows.exporting.measured", tmp_path / "lab",
         tmp_path / "out", format],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert int(done.stdout) < MOST
