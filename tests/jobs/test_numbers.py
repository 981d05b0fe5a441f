"""The numbers that the engine of jobs promises, with fewer jobs; in full: bench.daemon.jobs."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.daemon import jobs as bench
from bench.measure import ROOT


def test_numbers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.daemon.jobs", "1000", "100", "20000"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = bench.Figures(**json.loads(done.stdout))
    assert found.submit <= bench.SUBMIT_SECONDS
    assert found.running <= bench.RUNNING_MIB
    assert found.ready <= bench.READY_SECONDS
    assert found.newest <= bench.LIST_SECONDS
