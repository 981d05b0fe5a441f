"""Work beside the screen: in threads that never keep the program from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue


def begin(name: str, work: Callable[[], None]) -> threading.Thread:
    """Run it in a thread of its own.

    Not Textual's workers: the loop waits for their threads when it ends, and a hypervisor that
    does not answer would keep the person from leaving.
    """
    thread = threading.Thread(target=work, name=f"screen-{name}", daemon=True)
    thread.start()
    return thread


class Stopping:
    """Tells threads that nobody waits for what they do any more."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def stop(self) -> None:
        self._event.set()

    @property
    def stopped(self) -> bool:
        return self._event.is_set()


def each(name: str, jobs: list[Callable[[], None]], stopping: Stopping, *, threads: int) -> None:
    """Do all jobs, so many at a time, until ``stopping`` says that it is enough."""
    queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
    for job in jobs:
        queue.put(job)

    def work() -> None:
        while not stopping.stopped:
            try:
                job = queue.get_nowait()
            except Empty:
                return
            job()

    for number in range(min(threads, len(jobs))):
        begin(f"{name}-{number}", work)
