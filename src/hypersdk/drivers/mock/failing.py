"""Calls fail as the failure plan says.

Which calls a ``rate`` hits follows from the seed, the operation, the instance, and the how manieth
call of this operation on this instance it is. ``nth`` and ``times`` count the calls that match
their rule. All counting begins anew with each connection.

A crash is noted in the file ``hypervisor.down``: every connection with a plan that has a crash in
it finds the hypervisor down, until ``seconds`` have passed by the clock or ``calls`` were refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.drivers.mock.chance import Count, chance
from hypersdk.drivers.mock.config import FOREVER, STUBBORN_MAXIMUM, Kind, Rule
from hypersdk.drivers.mock.configfile import error_class
from hypersdk.drivers.mock.files import replace_file
from hypersdk.drivers.mock.folder import ACTIVE
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import HyperSDKError, HypervisorUnreachable, InstanceNotFound

#: Class of the error when the rule does not say; others get HypervisorError.
_LOST = frozenset({Kind.LOST_REPLY, Kind.HANG, Kind.STUBBORN, Kind.CRASH})
#: Seconds of the kinds that take time, when the rule does not say.
_SECONDS = {Kind.SLOW: 1.0, Kind.HANG: FOREVER, Kind.STUBBORN: STUBBORN_MAXIMUM, Kind.CRASH: 0.0}


class Failing:
    """An interceptor."""

    def __init__(self, root: Root, rules: Iterable[Rule], seed: int) -> None:
        self._root = root
        self._rules = tuple(rules)
        self._seed = seed
        self._count = Count()
        self._crashes = any(rule.kind is Kind.CRASH for rule in self._rules)

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        if self._crashes:
            self._refuse_while_down(call)
        rule = self._hit(call)
        return go() if rule is None else self._fail(rule, call, go)

    def _hit(self, call: Call) -> Rule | None:
        """The first rule that strikes; the others count the call all the same."""
        about = (call.operation, call.instance)
        number = self._count.next(about)
        struck = None
        for place, rule in enumerate(self._rules):
            if not rule.matches(*about):
                continue
            matching = self._count.next(place)
            if rule.nth is not None:
                strikes = matching == rule.nth
            elif rule.rate is not None:
                strikes = chance(self._seed, place, *about, number) < rule.rate
            else:
                strikes = True
            if not strikes or struck is not None:
                continue
            if not rule.times or self._count.next((place, "times")) <= rule.times:
                struck = rule
        return struck

    def _fail(self, rule: Rule, call: Call, go: Callable[[], Any]) -> Any:
        seconds = rule.seconds or _SECONDS.get(rule.kind, 0.0)
        match rule.kind:
            case Kind.SLOW:
                self._root.clock.sleep(seconds)
                return go()
            case Kind.STATE_DRIFT:
                answer = go()
                self._drift(rule, call)
                return answer
            case Kind.AFTER_EFFECT | Kind.LOST_REPLY:
                go()
            case Kind.HANG:
                self._root.clock.sleep(seconds)
            case Kind.STUBBORN:
                self._root.clock.sleep(min(seconds, STUBBORN_MAXIMUM), stubborn=True)
            case Kind.CRASH:
                self._crash(rule, seconds)
            case Kind.BEFORE_EFFECT:
                pass
        raise self._error(rule, call)

    def _error(self, rule: Rule, call: Call) -> HyperSDKError:
        usual = "HypervisorUnreachable" if rule.kind in _LOST else "HypervisorError"
        about = f" of '{call.instance}'" if call.instance else ""
        words = rule.message or f"{call.operation}{about} failed as planned ({rule.kind.value})"
        hint = "It is told to: see the failures of its configuration."
        return error_class(rule.error or usual)(words, hint=hint)

    def _drift(self, rule: Rule, call: Call) -> None:
        with suppress(InstanceNotFound):
            folder = self._root.find(call.instance)
            with folder.locked():
                folder.set_state(rule.state, "drifted")

    # The hypervisor as a whole

    def _crash(self, rule: Rule, seconds: float) -> None:
        calls = rule.calls or (0 if seconds else 1)
        down = {"until": self._root.clock.now() + seconds if seconds else None, "calls": calls}
        replace_file(self._down, json.dumps(down).encode())
        for folder in list(self._root.folders()):
            with suppress(InstanceNotFound), folder.locked():
                if folder.state() in ACTIVE:
                    folder.set_state(rule.state, "hypervisor crashed")

    def _refuse_while_down(self, call: Call) -> None:
        if not self._down.exists():
            return
        with self._root.changing():
            try:
                down = json.loads(self._down.read_bytes())
            except FileNotFoundError:
                return
            up = down["until"] is not None and self._root.clock.now() >= down["until"]
            if up or down["calls"] == 1:
                self._down.unlink()
            elif down["calls"]:
                down["calls"] -= 1
                replace_file(self._down, json.dumps(down).encode())
        if not up:
            raise HypervisorUnreachable(
                f"{call.hypervisor} is down: it has crashed", hint="Try again later."
            )

    @property
    def _down(self) -> Path:
        return self._root.path / "hypervisor.down"
