"""The power state of a machine, and tasks that others hinder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.model.errors import HypervisorBusy, InvalidState

ON, OFF, SUSPENDED = "poweredOn", "poweredOff", "suspended"
#: A machine does one thing at a time; what comes in between is tried again.
_ATTEMPTS = 60
_PAUSE_SECONDS = 0.25
#: Seconds that is waited for a task of ours whose caller has left.
_SETTLE_SECONDS = 300.0


def power_state(connection: Connection, vm: Any) -> str:
    """``poweredOn``, ``poweredOff`` or ``suspended``. Raises InstanceNotFound."""
    return str(connection.get(vm, "runtime.powerState")["runtime.powerState"])


def bring(
    connection: Connection, vm: Any, wanted: str, begin: Callable[[], Any], what: str
) -> None:
    """Begin a task that leads to a power state, unless somebody else was faster.

    Raises InvalidState, HypervisorBusy when others' tasks do not end, Interrupted.
    """
    for attempt in range(_ATTEMPTS):
        try:
            connection.task(begin, what)
        except (InvalidState, HypervisorBusy) as error:
            if power_state(connection, vm) == wanted:
                return
            if not isinstance(error, HypervisorBusy) or attempt == _ATTEMPTS - 1:
                raise
        else:
            return
        token_in_force().wait(_PAUSE_SECONDS)


def patient_task(connection: Connection, begin: Callable[[], Any], what: str) -> Any:
    """Run a task; one that another task hinders is begun again for a while.

    Raises HypervisorBusy when that does not end.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return connection.task(begin, what)
        except HypervisorBusy:
            token_in_force().wait(_PAUSE_SECONDS)
    return connection.task(begin, what)


class Making:
    """A task that makes a machine. When its caller leaves, what it made all the same is removed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._task: Any = None

    def run(self, begin: Callable[[], Any], what: str) -> Any:
        """The machine."""
        token_in_force().check()

        def remembered() -> Any:
            self._task = begin()
            return self._task

        try:
            return self._connection.task(remembered, what)
        except BaseException:
            with CancelToken().scope():
                self._remove()
            raise

    def _remove(self) -> None:
        if self._task is None:
            return
        self._connection.wait(
            self._task,
            ("info.state",),
            lambda known: known["info.state"] in ("success", "error"),
            _SETTLE_SECONDS,
        )
        # Only now: the state may be told before the result.
        made = self._connection.get(self._task, "info.result")["info.result"]
        if made is not None:
            self._connection.task(made.Destroy_Task, "remove what was made")
