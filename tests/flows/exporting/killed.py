"""Run an export that a test kills: ``python -m tests.flows.exporting.killed LAB OUT FORMAT``."""

from __future__ import annotations

import sys
from pathlib import Path

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import Bandwidth, ExportOptions


def main(lab: str, out: str, format: str, power_off: str) -> None:
    """Slow enough to be met in the middle."""
    hypervisor = MockHypervisor(Path(lab))
    options = ExportOptions(
        format=format,
        parallel=1,
        resume=True,
        power_off=power_off == "yes",
        bandwidth=Bandwidth(rate=3 << 20, burst=1 << 20),
    )
    print("begun", flush=True)
    export_instance(hypervisor, "web", Path(out), options=options)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
