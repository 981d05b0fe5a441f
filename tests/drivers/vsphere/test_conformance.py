"""The conformance kit on the vSphere lab."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.vsphere import LabTarget
from hypersdk.conformance.testing import conformance_tests
from tests.vsphere.lab import PASSWORD, VsphereLab


class _Target(LabTarget):
    """A lab of its own, whose hosts let disks of running machines be read by ranges."""

    def __init__(self, reader: str = "auto") -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vsphere-lab-"))
        self._lab = VsphereLab.start(self._folder, hosts=2, read_running=True)
        self._before = os.environ.get("GOVC_PASSWORD")
        os.environ["GOVC_PASSWORD"] = PASSWORD
        super().__init__(f"{self._lab.url}&reader={reader}", Site(), self._lab.control)

    def close(self) -> None:
        super().close()
        self._lab.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._before is None:
            del os.environ["GOVC_PASSWORD"]
        else:
            os.environ["GOVC_PASSWORD"] = self._before


test_conformance = conformance_tests(_Target)

#: Streams are read once, from their beginning; ranges in any order. Disks with snapshots of people,
#: which some other cases about changes have, cannot be read by ranges.
_OF_RANGES = ("disks", "changedblocks.changes_of_a_running_one_are_reported")
test_conformance_of_ranges = conformance_tests(lambda: _Target("range"), suites=_OF_RANGES)
