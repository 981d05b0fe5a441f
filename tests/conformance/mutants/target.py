"""The mock hypervisor with a mutant between it and the kit, and a connection that can be cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.mock import MockTarget
from hypersdk.drivers.calls import Call, Interceptor, intercepted
from hypersdk.drivers.mock.driver import connect
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import HypervisorUnreachable
from tests.conformance.mutants import Mutant, Seat


class MutantTarget(MockTarget):
    """Without a mutant it is the mock, unbroken."""

    def __init__(self, mutant: Mutant | None = None, *, query: str = "") -> None:
        fields = query or (mutant.query if mutant else "")
        super().__init__(f"mock://{'?' if fields else ''}{fields}", Site())
        # Nothing of the mock happens behind a call: what is left then is a leak at once.
        self.expectations = replace(self.expectations, settle=0.1, patience=1.0)
        self._mutant = mutant
        self._shared: dict[str, Any] = {}

    def connect(self) -> Hypervisor:
        line = _Line()
        seat = Seat(self.url, self._shared)
        interceptors: list[Interceptor] = [line]
        if self._mutant is not None:
            interceptors.insert(0, partial(self._mutant.defect, seat))
        hypervisor = intercepted(connect(self.url), *interceptors)
        self._shared.setdefault("lines", {})[id(hypervisor)] = line
        if self._mutant is not None:
            _declare(hypervisor, self._mutant.limits)
            _take(hypervisor, self._mutant.lacks)
        return hypervisor

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        self._shared["lines"][id(hypervisor)].cut = True
        return True


class _Line:
    """A connection: the first call after a cut finds it lost, the next one connects anew."""

    def __init__(self) -> None:
        self.cut = False

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        if self.cut:
            self.cut = False
            raise HypervisorUnreachable(
                f"the connection to {call.hypervisor} was lost", hint="Ask again."
            )
        return go()


class _Limiting:
    """A part with more limits."""

    def __init__(self, part: Any, limits: tuple[Limit, ...]) -> None:
        self._part = part
        self.limits = (*getattr(part, "limits", ()), *limits)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


class _Lacking:
    """A part without a method."""

    def __init__(self, part: Any, method: str) -> None:
        self._part = part
        self._method = method
        self.limits = getattr(part, "limits", ())

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise AttributeError(name)
        return getattr(self._part, name)


def _declare(hypervisor: Hypervisor, limits: tuple[Limit, ...]) -> None:
    for limit in limits:
        part = limit.aspect.partition(".")[0]
        setattr(hypervisor, part, _Limiting(getattr(hypervisor, part), (limit,)))


def _take(hypervisor: Hypervisor, methods: tuple[str, ...]) -> None:
    for name in methods:
        part, _, method = name.partition(".")
        whole = cast("Any", hypervisor)
        setattr(whole, part, _Lacking(getattr(whole, part), method))
