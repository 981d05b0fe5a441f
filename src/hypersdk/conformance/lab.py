"""Where a case works: its own connection, fresh instances, and a list of what to undo.

Everything that is made is undone in reverse order when the case has ended, however it ended, over
a connection that the case did not use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

from hypersdk.conformance import expect
from hypersdk.conformance.parts import Parts
from hypersdk.conformance.requirements import REQUIREMENTS
from hypersdk.conformance.target import Expectations, Guest, HasNic, HasStubborn, Observer, Target
from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.ports import Hypervisor, Limited
from hypersdk.model.errors import HyperSDKError, InvalidInput, InvalidState, NotFound
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.specs import InstanceSpec, NicSpec

T = TypeVar("T")

#: Begin of the names of all instances that the kit makes.
PREFIX = "kit-"

#: Threads that do things at once, at most.
THREADS = 32

Undo = Callable[[Parts], object]


class Lab(Parts):
    """Made by the engine for one run of one case."""

    def __init__(self, target: Target, hypervisor: Hypervisor) -> None:
        super().__init__(hypervisor)
        self.target = target
        #: What is left by contract, and no leak: disks that were to be kept.
        self.kept: set[str] = set()
        self._prefix = f"{PREFIX}{uuid4().hex[:8]}-"
        self._numbers = count(1)
        self._undo: list[tuple[str, Undo]] = []

    # What the target offers.

    @property
    def observer(self) -> Observer:
        if self.target.observer is None:
            expect.skip("the target has no observer")
        return self.target.observer

    @property
    def guest(self) -> Guest:
        if self.target.guest is None:
            expect.skip("the target has no guest")
        return self.target.guest

    @property
    def expectations(self) -> Expectations:
        return self.target.expectations

    def offers(self, part: str, aspect: str = "") -> bool:
        """Whether the driver has the part, and the aspect is not among its limits."""
        return (
            not self.limit(part, aspect) if aspect else getattr(self.hypervisor, part) is not None
        )

    def limit(self, part: str, aspect: str) -> str:
        """Why the driver lacks ``part.aspect``; empty when it offers it."""
        found = getattr(self.hypervisor, part)
        if found is None:
            return f"no {part} part"
        limits = found.limits if isinstance(found, Limited) else ()
        return next((kept.note for kept in limits if kept.aspect == f"{part}.{aspect}"), "")

    def offers_something(self, part: str) -> bool:
        """Whether the driver has the part with at least one of its aspects."""
        aspects = [name.partition(".")[2] for name in REQUIREMENTS if name.startswith(f"{part}.")]
        return self.offers(part) and any(self.offers(part, aspect) for aspect in aspects)

    # Connections.

    def connect(self) -> Parts:
        """Another connection, as another program would have it."""
        hypervisor = self.target.connect()
        self.later("close a connection", lambda _: hypervisor.close())
        return Parts(hypervisor)

    # Instances.

    def name(self) -> str:
        """Of an instance that is removed at the end, whoever makes it."""
        name = f"{self._prefix}{next(self._numbers)}"
        self.forget_later(name)
        return name

    def spec(self, **changes: Any) -> InstanceSpec:
        """That of the target under a new name, with these changes. What is changed to more than
        there was room for has no more room than that."""
        name = changes.pop("name", None) or self.name()
        spec = self.target.spec(name)
        for figure in ("vcpus", "memory"):
            room = f"{figure}_maximum"
            if changes.get(figure, 0) > getattr(spec, room):
                changes.setdefault(room, 0)
        return replace(spec, **changes)

    def create(self, spec: InstanceSpec | None = None, **changes: Any) -> Instance:
        """A fresh stopped instance."""
        return self.lifecycle.create(spec or self.spec(**changes))

    def running(self, spec: InstanceSpec | None = None, **changes: Any) -> Instance:
        """A fresh instance that runs."""
        instance = self.create(spec, **changes)
        self.lifecycle.start(instance.name)
        return self.look(instance.name)

    def booted(self, spec: InstanceSpec | None = None) -> Instance:
        """A fresh instance whose guest is ready to obey."""
        instance = self.running(spec)
        token_in_force().wait(self.expectations.boot)
        return instance

    def bring(self, name: str, state: InstanceState) -> None:
        """From stopped into another state."""
        if state is not InstanceState.STOPPED:
            self.lifecycle.start(name)
        if state is InstanceState.PAUSED:
            self.lifecycle.pause(name)

    def look(self, name: str) -> Instance:
        return self.inventory.instance(name)

    def state(self, name: str) -> InstanceState:
        return self.look(name).state

    def names(self) -> list[str]:
        return [instance.name for instance in self.inventory.instances()]

    def stubborn(self) -> InstanceSpec:
        """An instance that does not power down when it is asked to."""
        if isinstance(self.target, HasStubborn):
            return self.target.stubborn(self.name())
        if self.expectations.obeys_stop:
            expect.skip("the guests of this target power down when they are asked to")
        return self.spec()

    def nic(self) -> NicSpec:
        """One that an instance here can have."""
        if isinstance(self.target, HasNic):
            return self.target.nic()
        networks = self.hypervisor.networks
        active = [found for found in networks.networks() if found.active] if networks else []
        return NicSpec(network=active[0].name) if active else NicSpec()

    @contextlib.contextmanager
    def unchanged(self, *names: str) -> Iterator[None]:
        """What happens inside changes nothing of these instances, nor which instances there are."""
        before = self._picture(names)
        yield
        expect.equal(self._picture(names), before, f"after it, {', '.join(names) or 'the list'}")

    @contextlib.contextmanager
    def nothing_left(self) -> Iterator[None]:
        """What happens inside leaves nothing in the backend that was not there before."""
        if self.target.observer is None:
            yield
            return
        before = self.observer.resources()
        yield
        expect.eventually(
            lambda: sorted(self.observer.resources() - before),
            lambda left: not left,
            "what it left in the backend",
            seconds=self.expectations.settle,
        )

    def keep_by_contract(self, resources: frozenset[str]) -> None:
        """These stay because the contract says so; they are no leak of this case."""
        self.kept |= resources

    # At once.

    def at_once(self, *actions: Callable[[], T]) -> list[T | HyperSDKError]:
        """What each returned or raised; all of them run at the same time."""

        def one(action: Callable[[], T]) -> T | HyperSDKError:
            try:
                return action()
            except HyperSDKError as error:
                return error

        contexts = [copy_context() for _ in actions]  # the token in force is in them
        with ThreadPoolExecutor(max(1, min(len(actions), THREADS))) as pool:
            waiting = [
                pool.submit(context.run, one, action)
                for context, action in zip(contexts, actions, strict=True)
            ]
            return [future.result() for future in waiting]

    def eventually(self, question: Callable[[], T], wanted: Callable[[T], bool], what: str) -> T:
        """The first answer that is ``wanted``, within the target's patience."""
        return expect.eventually(question, wanted, what, seconds=self.expectations.patience)

    # What is undone at the end.

    @property
    def has_to_clean_up(self) -> bool:
        return bool(self._undo)

    def later(self, what: str, undo: Undo) -> None:
        """Do this at the end; ``undo`` gets a fresh connection."""
        self._undo.append((what, undo))

    def forget_later(self, name: str) -> None:
        """Remove this instance at the end, if it is there then."""
        self.later(f"remove {name}", lambda parts: forget(parts, name))

    def enter(self, context: AbstractContextManager[T]) -> T:
        """What the context gives; it is left at the end."""
        value = context.__enter__()
        self.later("leave a context", lambda _: context.__exit__(None, None, None))
        return value

    def clean_up(self, parts: Parts) -> Sequence[str]:
        """Undo everything, the last first. Problems, a line each; none stops the rest."""
        problems = []
        while self._undo:
            what, undo = self._undo.pop()
            try:
                undo(parts)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises is reported
                problems.append(f"could not {what}: {type(error).__name__}: {error}")
        return problems

    def _picture(self, names: Sequence[str]) -> object:
        listed = [(found.id, found.name, found.state) for found in self.inventory.instances()]
        mine = [entry for entry in listed if entry[1].startswith(self._prefix)]
        looks = [self.target.observer.look(name) for name in names] if self.target.observer else []
        return mine, [self.look(name) for name in names], looks


def forget(parts: Parts, name: str) -> None:
    """Remove an instance with its disks, in whatever state it is."""
    with contextlib.suppress(NotFound, InvalidInput):  # a name that nothing can have, neither
        parts.lifecycle.stop(name, force=True)
        try:
            parts.lifecycle.delete(name, disks=True)
        except InvalidState:
            # A template, perhaps: those are not stopped nor deleted as others are everywhere.
            if parts.hypervisor.clones is None:
                raise
            parts.clones.unmake_template(name)
            parts.lifecycle.delete(name, disks=True)
