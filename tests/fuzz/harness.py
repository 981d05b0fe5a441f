"""Coverage-guided fuzzing of what reads files of strangers, by atheris where it is installed. ::

    pip install atheris
    python -m tests.fuzz.harness vmdk -max_total_time=600 corpus/vmdk

Anything but an error of ours is a finding; so is more memory than a GiB.
"""

from __future__ import annotations

import importlib
import sys

from hypersdk.model.errors import HyperSDKError

#: Where coverage is measured.
_WATCHED = ["hypersdk.ovf", "hypersdk.artifacts", "hypersdk.datapath.streamvmdk"]


def main() -> None:
    """The first argument is the target, the rest is libFuzzer's."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=_WATCHED):
        target = importlib.import_module("tests.fuzz.parsers").TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        try:
            target(data)
        except HyperSDKError:
            return

    atheris.Setup([*sys.argv, "-rss_limit_mb=1024"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
