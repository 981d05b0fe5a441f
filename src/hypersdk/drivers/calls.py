"""Every call to a hypervisor as a record that wrappers see: the one way to wrap its parts.

An interceptor is called instead of a part's method, with the ``Call`` and with ``go``, which makes
it. It may refuse it, make it several times, time it, or raise after it. ``intercepted`` puts
interceptors around all parts of a hypervisor; the first is the outermost. The mock hypervisor's
latency and failures are interceptors as well, so what guards a driver is tested by what breaks it.

Parts that a hypervisor lacks stay None, and ``limits`` stay readable: capabilities are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import islice
from typing import Any, cast

from hypersdk.drivers.ports import PARTS, Hypervisor, Limited
from hypersdk.model.capabilities import Limit


class Effect(Enum):
    """What making a call twice would do."""

    #: Changes nothing.
    READ = "read"
    #: Changes something; a second time it finds it done and succeeds.
    REPEATABLE = "repeatable"
    #: A second time it does it again, or fails because it is done: ``create``.
    ONCE = "once"


_READS = frozenset({
    "hypervisor.connect",
    "host.info",
    "inventory.instances", "inventory.instance", "details.details",
    "events.follow",
    "snapshots.snapshots",
    "checkpoints.checkpoints", "checkpoints.bitmaps",
    "metrics.metrics",
    "console.display", "console.screenshot",
    "guest_agent.ping", "guest_agent.info",
    "storage.pools", "storage.pool", "storage.volumes",
    "networks.networks",
    "logs.read", "logs.follow",
    "images.images",
})  # fmt: skip

_REPEATABLE = frozenset({
    "lifecycle.start", "lifecycle.stop", "lifecycle.pause", "lifecycle.resume",
    "clones.make_template", "clones.unmake_template",
    "snapshots.revert",
    "guest_agent.thaw",
    "hotplug.set_vcpus", "hotplug.set_memory", "hotplug.insert_media", "hotplug.eject_media",
    "leftovers.reap",
    "networks.start_network", "networks.stop_network",
    "provisioning.discard",
    "storage.resize_volume",
})  # fmt: skip

#: Answers that iterate over something finished, whose items have an ``id``. They are read inside of
#: calls, so that wrappers see their errors: the first part when it is asked for, each further part
#: by a call of its own, so that the first items are there early and no deadline covers thousands.
_LISTINGS = frozenset({"inventory.instances"})
#: Items that the first call reads, and each further one. Most lists are one call.
_FIRST_ITEMS = 100
_ITEMS = 500


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method of a part."""

    #: URL of the hypervisor, without secrets.
    hypervisor: str
    part: str
    method: str
    #: Not shown: specs carry secrets.
    arguments: tuple[Any, ...] = field(default=(), repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def operation(self) -> str:
        """``lifecycle.start``"""
        return f"{self.part}.{self.method}"

    @property
    def effect(self) -> Effect:
        if self.operation in _READS:
            return Effect.READ
        return Effect.REPEATABLE if self.operation in _REPEATABLE else Effect.ONCE

    @property
    def instance(self) -> str:
        """Name of the instance it is about; empty when it is about none or many."""
        if self.part in _NOT_ABOUT_INSTANCES:
            return ""
        key = "spec" if self.operation == "lifecycle.create" else "name"
        first = self.arguments[0] if self.arguments else self.options.get(key, "")
        name = getattr(first, "name", "") if key == "spec" else first
        return name if isinstance(name, str) else ""


_NOT_ABOUT_INSTANCES = frozenset({"storage", "networks", "images", "leftovers", "host", "events"})

#: Called with a call and with what makes it. Returns what the call returns.
Interceptor = Callable[[Call, Callable[[], Any]], Any]


def intercepted(hypervisor: Hypervisor, *interceptors: Interceptor) -> Hypervisor:
    """``hypervisor`` with every call going through ``interceptors``, the first one first.

    What a call hands out (a view of disks, a stream, an iterator) is used without them.
    """
    if not interceptors:
        return hypervisor
    return cast("Hypervisor", _Intercepted(hypervisor, interceptors))


def through(interceptors: Sequence[Interceptor], call: Call, go: Callable[[], Any]) -> Any:
    """Make one call, which ``go`` does, through ``interceptors``, the first one first."""
    for interceptor in reversed(interceptors):
        go = partial(interceptor, call, go)
    return go()


class _Intercepted:
    """Stands for a hypervisor; what is no part of it (``close``, a mock's ``guest``) is its own."""

    def __init__(self, inner: Hypervisor, interceptors: tuple[Interceptor, ...]) -> None:
        self._inner = inner
        for name in PARTS:
            part = getattr(inner, name)
            setattr(self, name, part and _Part(inner.url, name, part, interceptors))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Part:
    """Stands for a part. Methods are made when they are first asked for."""

    def __init__(
        self, url: str, name: str, inner: object, interceptors: tuple[Interceptor, ...]
    ) -> None:
        self._url = url
        self._name = name
        self._inner = inner
        self._interceptors = interceptors

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Here and not through ``__getattr__``, which Python 3.12 does not ask when it looks
        whether something is ``Limited``."""
        return self._inner.limits if isinstance(self._inner, Limited) else ()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name.startswith("_") or not callable(method):
            return method
        listing = f"{self._name}.{name}" in _LISTINGS

        def call(*arguments: Any, **options: Any) -> Any:
            made = Call(self._url, self._name, name, arguments, options)
            go = partial(method, *arguments, **options)
            if listing:
                return _Listing(go, partial(through, self._interceptors, made)).items()
            return through(self._interceptors, made, go)

        setattr(self, name, call)
        return call


class _Listing:
    """Reads a list part by part, each in a call that ``guard`` makes. One thread at a time.

    A call may be made several times, and one that was given up may still go on: each takes the list
    as it is, and puts nothing back. What is repeated begins anew and leaves out what was given.
    """

    def __init__(
        self, begin: Callable[[], Iterator[Any]], guard: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self._begin = begin
        self._guard = guard
        self._rest: Iterator[Any] | None = None
        self._given: set[str] = set()

    def items(self) -> Iterator[Any]:
        """All; the first part is there when this returns."""
        return self._after(self._part(_FIRST_ITEMS), _FIRST_ITEMS)

    def _after(self, part: Sequence[Any], wanted: int) -> Iterator[Any]:
        while True:
            yield from part
            if len(part) < wanted:
                return
            part, wanted = self._part(_ITEMS), _ITEMS

    def _part(self, count: int) -> Sequence[Any]:
        answer = self._guard(partial(self._read, count))
        # An interceptor may put another answer in its place.
        self._rest = answer.rest if isinstance(answer, _Answer) else None
        part = tuple(answer)
        self._given.update(item.id for item in part)
        return part

    def _read(self, count: int) -> _Answer:
        rest, self._rest = self._rest, None
        if rest is None:
            given = frozenset(self._given)
            rest = (item for item in self._begin() if item.id not in given)
        answer = _Answer(islice(rest, count))
        answer.rest = rest
        return answer


class _Answer(tuple[Any, ...]):
    """Part of a list, and where it goes on."""

    rest: Iterator[Any]
