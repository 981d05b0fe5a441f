"""``hypervisord`` without a command: the daemon itself."""

from __future__ import annotations

import gc

from hypersdk.cli.hypervisord.command import chosen


def serve(worker: bool | None) -> int:
    """Serve until a signal says otherwise. ``worker``: None: as the settings say."""
    said = chosen()
    settings = said.load()
    # What is loaded now stays: looking through it for garbage took a quarter of the start.
    gc.disable()
    try:
        # Only now: other commands do without the server.
        from hypersdk.app.server import DaemonOptions, run_daemon, worker_command  # noqa: PLC0415

        with_worker = settings.workers.enabled if worker is None else worker
        command = worker_command(["--supervised", *said.arguments()]) if with_worker else ()
        return run_daemon(settings, DaemonOptions(worker=command), said.load)
    finally:
        gc.enable()
