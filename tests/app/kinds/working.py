"""A real worker on a lab, until it is killed: ``python -m tests.app.kinds.working ROOT``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from hypersdk.database.engine import Database
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.worker import Worker
from tests.app.kinds.lab import Lab


def worker_of(lab: Lab, database: Database) -> Worker:
    return Worker(
        database,
        lab.kinds(),
        id="w1",
        queues=("default", "site-a"),
        slots=4,
        budgets=FixedBudgets(),
        version="test",
    )


def main() -> None:
    lab = Lab(Path(sys.argv[1]))
    database = Database.open(f"sqlite:///{lab.root}/jobs.db")
    worker_of(lab, database).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
