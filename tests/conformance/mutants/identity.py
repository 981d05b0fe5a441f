"""Defects in who an instance is, and in what is in force for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.model.instances import Instance, InstanceState
from tests.conformance.mutants import Go, Seat, mutant

#: Calls that answer with an instance.
_ONE = frozenset({"inventory.instance", "lifecycle.create", "clones.clone"})


def _seen(call: Call, go: Go, change: Callable[[Instance], Instance]) -> Any:
    """The answer, with each instance in it changed."""
    answer = go()
    if call.operation in _ONE:
        return change(answer)
    if call.operation == "inventory.instances":
        return iter([change(found) for found in answer])
    return answer


@mutant("behind")
def states_are_echoed(at: Seat, call: Call, go: Go) -> Any:
    """The driver remembers what it told an instance to do, and reports that as its state."""
    answer = go()
    told = {"lifecycle.start": InstanceState.RUNNING, "lifecycle.stop": InstanceState.STOPPED}
    if call.operation in told:
        at.own[call.instance] = told[call.operation]
    if call.operation == "inventory.instance" and call.instance in at.own:
        return replace(answer, state=at.own[call.instance])
    return answer


@mutant("identity", "lifecycle")
def the_id_changes_with_each_start(at: Seat, call: Call, go: Go) -> Any:
    """An instance has another id after each start."""
    starts = at.shared.setdefault("starts", {})
    if call.operation == "lifecycle.start":
        starts[call.instance] = starts.get(call.instance, 0) + 1
    return _seen(call, go, lambda i: replace(i, id=f"{i.id}{starts.get(i.name, '')}"))


@mutant("identity")
def the_id_is_made_of_the_name(at: Seat, call: Call, go: Go) -> Any:
    """An instance gets the id of the one that had its name before."""
    if call.instance.startswith("id-of-"):
        method = getattr(getattr(at.mock, call.part), call.method)
        name = call.instance.removeprefix("id-of-")
        go = partial(method, name, *call.arguments[1:], **call.options)
    return _seen(call, go, lambda i: replace(i, id=f"id-of-{i.name}"))


@mutant("identity")
def tags_are_lost(at: Seat, call: Call, go: Go) -> Any:
    """Tags are there in the answer to create, and nowhere else."""
    if call.operation == "inventory.instance":
        return replace(go(), tags={})
    return go()


@mutant("identity")
def tags_are_of_the_connection(at: Seat, call: Call, go: Go) -> Any:
    """Tags are known to the connection that made them only."""
    if call.operation == "lifecycle.create":
        at.own[call.instance] = call.arguments[0].tags
    return _seen(call, go, lambda i: replace(i, tags=at.own.get(i.name, {})))


@mutant("identity")
def folders_are_lost(at: Seat, call: Call, go: Go) -> Any:
    """The folder of an instance is forgotten."""
    return _seen(call, go, lambda i: replace(i, folder=""))


@mutant("identity")
def everything_is_ours(at: Seat, call: Call, go: Go) -> Any:
    """Instances of other programs are reported as ours."""
    return _seen(call, go, lambda i: replace(i, owned=True))


@mutant("identity")
def nothing_is_ours(at: Seat, call: Call, go: Go) -> Any:
    """Instances that the driver made are not marked as ours."""
    return _seen(call, go, lambda i: replace(i, owned=False))


@mutant("identity")
def the_list_is_not_in_order(at: Seat, call: Call, go: Go) -> Any:
    """Instances are listed as they come."""
    answer = go()
    if call.operation == "inventory.instances":
        # Not by id: that may by chance be the order of the names.
        return iter(sorted(answer, key=lambda found: found.name, reverse=True))
    return answer


@mutant("behind")
def the_list_is_remembered(at: Seat, call: Call, go: Go) -> Any:
    """A connection lists what it listed the first time, and what it made since."""
    if call.operation == "inventory.instances":
        if "list" not in at.own:
            at.own["list"] = {found.name: found for found in go()}
        return iter(sorted(at.own["list"].values(), key=lambda found: str(found.name)))
    answer = go()
    if call.operation == "lifecycle.create" and "list" in at.own:
        at.own["list"][call.instance] = answer
    if call.operation == "lifecycle.delete" and "list" in at.own:
        at.own["list"].pop(call.instance, None)
    return answer


@mutant("concurrency", "identity")
def the_list_is_of_the_connection(at: Seat, call: Call, go: Go) -> Any:
    """A connection lists only the instances that it has made."""
    if call.operation == "lifecycle.create":
        at.own[call.instance] = True
    if call.operation == "inventory.instances":
        return iter([found for found in go() if found.name in at.own])
    return go()


@mutant("identity")
def the_list_has_other_figures(at: Seat, call: Call, go: Go) -> Any:
    """The list shows memory in KiB where a look shows bytes."""
    if call.operation == "inventory.instances":
        return iter([replace(found, memory=found.memory // 1024) for found in go()])
    return go()


@mutant("limits")
def vcpus_are_echoed(at: Seat, call: Call, go: Go) -> Any:
    """Processors are reported as asked for; the backend has one."""
    asked = at.shared.setdefault("vcpus", {})
    if call.operation == "lifecycle.create":
        spec = call.arguments[0]
        asked[spec.name] = spec.vcpus
        go = _creating(at, replace(spec, vcpus=1, vcpus_maximum=0))
    return _seen(call, go, lambda i: replace(i, vcpus=asked.get(i.name, i.vcpus)))


@mutant("limits")
def memory_is_off_by_1024(at: Seat, call: Call, go: Go) -> Any:
    """The backend gets memory in units of 1000 bytes that were units of 1024, rounded down."""
    asked = at.shared.setdefault("memory", {})
    if call.operation == "lifecycle.create":
        spec = call.arguments[0]
        asked[spec.name] = spec.memory
        go = _creating(at, replace(spec, memory=spec.memory - 1024))
    return _seen(call, go, lambda i: replace(i, memory=asked.get(i.name, i.memory)))


@mutant("limits")
def memory_is_rounded(at: Seat, call: Call, go: Go) -> Any:
    """The driver reports memory rounded up to 100 MiB."""
    unit = 100 << 20
    return _seen(call, go, lambda i: replace(i, memory=-(-i.memory // unit) * unit))


@mutant("limits")
def the_cpu_weight_is_ignored(at: Seat, call: Call, go: Go) -> Any:
    """The CPU weight of a spec is accepted and dropped."""
    if call.operation == "lifecycle.create":
        return at.mock.lifecycle.create(replace(call.arguments[0], cpu_weight=0))
    return go()


@mutant("limits")
def the_cpu_limit_is_whole(at: Seat, call: Call, go: Go) -> Any:
    """The limit of processor time is rounded up to whole processors."""
    if call.operation == "lifecycle.create":
        spec = call.arguments[0]
        return at.mock.lifecycle.create(replace(spec, cpu_limit=float(-(-spec.cpu_limit // 1))))
    return go()


@mutant("limits")
def variables_lose_their_spaces(at: Seat, call: Call, go: Go) -> Any:
    """Values of variables end at their first space."""
    if call.operation == "lifecycle.create":
        spec = call.arguments[0]
        env = {name: value.partition(" ")[0] for name, value in spec.env.items()}
        return at.mock.lifecycle.create(replace(spec, env=env))
    return go()


@mutant("spec")
def names_are_cleaned(at: Seat, call: Call, go: Go) -> Any:
    """Letters that are not ASCII vanish from names."""
    if call.operation == "lifecycle.create":
        spec = call.arguments[0]
        name = spec.name.encode("ascii", "ignore").decode() or spec.name
        return at.mock.lifecycle.create(replace(spec, name=name))
    return go()


def _creating(at: Seat, spec: Any) -> Go:
    return lambda: at.mock.lifecycle.create(spec)
