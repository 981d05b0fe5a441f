"""What each operation does in each state: the contract that drivers keep and the kit tests.

::

                 stopped   running   paused    crashed
    start        running   running   running   running
    stop         stopped   stopped   refused   stopped     graceful: the guest is asked
    force stop   stopped   stopped   stopped   stopped
    pause        refused   paused    paused    refused
    resume       refused   running   running   refused
    reset        refused   running   paused    running
    delete       gone      refused   refused   refused

Refused is ``InvalidState``, and the instance is as it was. Nothing is promised for ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from hypersdk.model.instances import InstanceState


class Operation(Enum):
    """What changes the state of an instance."""

    START = "start"
    STOP = "stop"
    FORCE_STOP = "force stop"
    PAUSE = "pause"
    RESUME = "resume"
    RESET = "reset"
    DELETE = "delete"


class Gone(Enum):
    """Stands for the state of an instance that is not there any more."""

    GONE = "gone"


_STOPPED, _RUNNING = InstanceState.STOPPED, InstanceState.RUNNING
_PAUSED, _CRASHED = InstanceState.PAUSED, InstanceState.CRASHED

#: Operation → state before → state after. A state that is missing here refuses the operation.
OUTCOMES: Mapping[Operation, Mapping[InstanceState, InstanceState | Gone]] = {
    Operation.START: dict.fromkeys((_STOPPED, _RUNNING, _PAUSED, _CRASHED), _RUNNING),
    Operation.STOP: dict.fromkeys((_STOPPED, _RUNNING, _CRASHED), _STOPPED),
    Operation.FORCE_STOP: dict.fromkeys((_STOPPED, _RUNNING, _PAUSED, _CRASHED), _STOPPED),
    Operation.PAUSE: dict.fromkeys((_RUNNING, _PAUSED), _PAUSED),
    Operation.RESUME: dict.fromkeys((_RUNNING, _PAUSED), _RUNNING),
    Operation.RESET: {_RUNNING: _RUNNING, _PAUSED: _PAUSED, _CRASHED: _RUNNING},
    Operation.DELETE: {_STOPPED: Gone.GONE},
}
