"""Export an instance and print the most memory that it took:
``python -m tests.flows.exporting.measured LAB OUT FORMAT``."""

from __future__ import annotations

import sys
from pathlib import Path

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import ExportOptions


def main(lab: str, out: str, format: str) -> None:
    """Prints MiB. Not of getrusage: that still knows the memory of the process before exec."""
    export_instance(
        MockHypervisor(Path(lab)), "web", Path(out), options=ExportOptions(format=format)
    )
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            print(int(line.split()[1]) >> 10)


if __name__ == "__main__":
    main(*sys.argv[1:])
