"""Mock drivers with one defect each. The kit has to catch every one.

A mutant is a function that is called instead of each call to the driver::

    @mutant("lifecycle")
    def pause_does_nothing(at: Seat, call: Call, go: Go) -> Any:
        \"\"\"Pause returns and has done nothing.\"\"\"
        return None if call.operation == "lifecycle.pause" else go()

``go`` makes the call; ``at`` is where the mutant sits: at one connection to a backend. What is
named in the brackets are the suites, or cases, that are run until one fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.drivers.mock.driver import MockHypervisor, connect
from hypersdk.model.capabilities import Limit

Go = Callable[[], Any]


@dataclass
class Seat:
    """One connection of a mutant."""

    url: str
    #: What all connections of this mutant share.
    shared: dict[str, Any]
    #: What this connection alone knows.
    own: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def mock(self) -> MockHypervisor:
        """The hypervisor as it really is."""
        return connect(self.url)


Defect = Callable[[Seat, Call, Go], Any]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One defect."""

    name: str
    title: str
    defect: Defect
    #: Suites or cases that are run until one fails.
    suites: tuple[str, ...]
    #: Fields of the mock's URL.
    query: str
    #: Limits that it declares besides those of the mock.
    limits: tuple[Limit, ...]
    #: Methods that its parts lack: ``hotplug.set_memory``.
    lacks: tuple[str, ...]


MUTANTS: dict[str, Mutant] = {}


def mutant(
    *suites: str, query: str = "", limits: tuple[Limit, ...] = (), lacks: tuple[str, ...] = ()
) -> Callable[[Defect], Defect]:
    """Register a defect."""

    def register(defect: Defect) -> Defect:
        name = str(getattr(defect, "__name__", ""))
        title = (defect.__doc__ or "").strip()
        if not title.endswith(".") or "\n" in title or name in MUTANTS:
            raise ValueError(f"the mutant {name} needs one sentence, and a name of its own")
        MUTANTS[name] = Mutant(
            name=name,
            title=title,
            defect=defect,
            suites=suites,
            query=query,
            limits=limits,
            lacks=lacks,
        )
        return defect

    return register
