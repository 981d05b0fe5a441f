"""A process that backs up one domain and kills itself, or waits to be killed, on the way.

Arguments: folder of the repository, URL, domain, moment. Nothing of HyperSDK is changed: the moment
comes from the progress that it reports, or from the record that the run keeps of itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import hypersdk
from hypersdk import BackupOptions, Key, Progress, connect
from tests.flows.kvm.scene import watchers_of
from tests.repository.examples import IDENTITY


def main() -> None:
    folder, url, domain, moment = sys.argv[1:]
    scratch = Path(os.environ["HYPERSDK_SCRATCH_DIR"])

    def report(progress: Progress) -> None:
        if moment == "reading" and progress.read:
            os.kill(os.getpid(), signal.SIGKILL)
        if moment == "waiting" and progress.read:
            print("reading", flush=True)
            time.sleep(3600)

    if moment in ("begun", "frozen", "frozen alone"):
        threading.Thread(target=watch, args=(scratch, moment), daemon=True).start()
    with hypersdk.open_repository(
        Path(folder) / "repository", key=Key.identity(IDENTITY), cache=Path(folder) / "cache"
    ) as repository:
        options = BackupOptions(throttle=32 << 20)
        point = hypersdk.backup_instance(
            repository, connect(url), domain, options=options, reporter=report
        )
        print("committed", point.id, flush=True)


def watch(scratch: Path, moment: str) -> None:
    """Kill the process as soon as its record says so: before the job, or while it freezes; alone:
    after the one that would clean up."""
    while True:
        for owner in scratch.glob("*/owner"):
            record = json.loads(owner.read_text() or "{}")
            if moment == "begun" or record.get("frozen"):
                if moment == "frozen alone":
                    for watcher in watchers_of(owner.parent):
                        os.kill(watcher, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
