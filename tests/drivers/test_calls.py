from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from hypersdk.drivers import calls, ports
from hypersdk.drivers.calls import Call, Effect, intercepted, through
from hypersdk.drivers.ports import PARTS, Limited, capabilities
from hypersdk.model.capabilities import Grade, Limit
from hypersdk.model.errors import HypervisorBusy, InstanceNotFound
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.specs import InstanceSpec
from tests.drivers.wrappers.failing import lab, parts

Go = Callable[[], Any]


def operations() -> set[str]:
    """Every method of every part."""
    found = set()
    for name in PARTS:
        kind = get_type_hints(getattr(ports.Hypervisor, name).fget)["return"]
        part = next(each for each in kind.__args__ if each is not type(None))
        found |= {f"{name}.{method}" for method in vars(part) if not method.startswith("_")}
    return found


def test_the_tables_name_operations_that_there_are() -> None:
    named = calls._READS | calls._REPEATABLE | calls._LISTINGS
    assert named - operations() == {"hypervisor.connect"}
    assert calls._READS.isdisjoint(calls._REPEATABLE)


@pytest.mark.parametrize(
    ("operation", "effect"),
    [
        ("inventory.instances", Effect.READ),
        ("lifecycle.stop", Effect.REPEATABLE),
        ("lifecycle.create", Effect.ONCE),
        ("lifecycle.delete", Effect.ONCE),
        ("lifecycle.reset", Effect.ONCE),
        ("execution.run", Effect.ONCE),
        ("anything.unknown", Effect.ONCE),
    ],
)
def test_what_making_a_call_twice_would_do(operation: str, effect: Effect) -> None:
    part, _, method = operation.partition(".")
    assert Call("mock:///x", part, method).effect is effect


@pytest.mark.parametrize(
    ("call", "instance"),
    [
        (Call("u", "lifecycle", "start", ("web",)), "web"),
        (Call("u", "lifecycle", "start", (), {"name": "web"}), "web"),
        (Call("u", "lifecycle", "create", (InstanceSpec(name="web"),)), "web"),
        (Call("u", "lifecycle", "create", (), {"spec": InstanceSpec(name="web")}), "web"),
        (Call("u", "lifecycle", "create"), ""),
        (Call("u", "inventory", "instances"), ""),
        (Call("u", "metrics", "metrics", (["a", "b"],)), ""),
        (Call("u", "storage", "pool", ("default",)), ""),
        (Call("u", "images", "delete", ("busybox",)), ""),
        (Call("u", "clones", "clone", ("web", "copy")), "web"),
    ],
)
def test_the_instance_that_a_call_is_about(call: Call, instance: str) -> None:
    assert call.instance == instance


def test_a_call_that_is_printed_shows_no_secrets() -> None:
    spec = InstanceSpec(name="web", env={"DB": "hunter2"})
    assert repr(Call("u", "lifecycle", "create", (spec,), {"spec": spec})) == (
        "Call(hypervisor='u', part='lifecycle', method='create')"
    )


def test_interceptors_see_calls_the_first_one_first(tmp_path: Path) -> None:
    seen: list[str] = []

    def noting(name: str) -> calls.Interceptor:
        def note(call: Call, go: Go) -> Any:
            seen.append(f"{name} {call.operation} {call.instance}")
            answer = go()
            seen.append(f"{name} done")
            return answer

        return note

    hypervisor = lab(tmp_path, "web")
    inventory, lifecycle = parts(hypervisor, noting("outer"), noting("inner"))
    lifecycle.start("web", paused=True)
    assert inventory.instance("web").state is InstanceState.PAUSED
    assert seen[:4] == [
        "outer lifecycle.start web",
        "inner lifecycle.start web",
        "inner done",
        "outer done",
    ]
    assert len(seen) == 8


def test_an_interceptor_may_refuse_repeat_and_raise_afterwards(tmp_path: Path) -> None:
    def refuse(call: Call, go: Go) -> Any:
        if call.method == "start":
            raise HypervisorBusy("not now")
        go()
        return go()

    inventory, lifecycle = parts(lab(tmp_path, "web"), refuse)
    with pytest.raises(HypervisorBusy):
        lifecycle.start("web")
    assert inventory.instance("web").state is InstanceState.STOPPED
    lifecycle.stop("web")  # twice: it is idempotent
    with pytest.raises(InstanceNotFound):
        lifecycle.delete("web", disks=True)  # twice: it is not


def test_a_listing_is_read_to_its_end_inside_of_the_call(tmp_path: Path) -> None:
    class Broken:
        def instances(self) -> Any:
            yield from _machines(1)
            raise HypervisorBusy("in the middle")

    hypervisor = lab(tmp_path)
    caught: list[str] = []

    def catch(call: Call, go: Go) -> Any:
        try:
            return go()
        except HypervisorBusy as error:
            caught.append(f"{call.operation}: {error.message}")
            raise

    wrapped = intercepted(Replaced(hypervisor, inventory=Broken()), catch)
    assert wrapped.inventory is not None
    with pytest.raises(HypervisorBusy):
        wrapped.inventory.instances()
    assert caught == ["inventory.instances: in the middle"]


def _machines(count: int) -> Iterator[Instance]:
    for number in range(count):
        yield Instance(f"id-{number}", f"vm-{number:05}", InstanceState.STOPPED, 1, 1 << 20)


def test_a_long_listing_comes_in_parts_and_each_is_a_call(tmp_path: Path) -> None:
    read = 0

    class Long:
        def instances(self) -> Iterator[Instance]:
            nonlocal read
            for read, one in enumerate(_machines(1234), 1):  # noqa: B007 - counts
                yield one

    made: list[int] = []

    def count(call: Call, go: Go) -> Any:
        assert call.operation == "inventory.instances"
        answer = go()
        made.append(read)
        return answer

    wrapped = intercepted(Replaced(lab(tmp_path), inventory=Long()), count)
    assert wrapped.inventory is not None
    rows = wrapped.inventory.instances()
    assert made == [100]
    assert next(rows).name == "vm-00000"
    assert read == 100
    assert len(list(rows)) == 1233
    assert made == [100, 600, 1100, 1234]


def test_a_listing_that_breaks_later_is_repeated_without_loss_or_double(tmp_path: Path) -> None:
    broken = [777, 350]  # places at which a reading breaks, the last first

    class Breaking:
        def instances(self) -> Iterator[Instance]:
            end = broken.pop() if broken else None
            for number, one in enumerate(_machines(1000)):
                if number == end:
                    raise HypervisorBusy("in the middle")
                yield one

    caught: list[str] = []

    def repeat(_call: Call, go: Go) -> Any:
        try:
            return go()
        except HypervisorBusy as error:
            caught.append(error.message)
            return repeat(_call, go)

    wrapped = intercepted(Replaced(lab(tmp_path), inventory=Breaking()), repeat)
    assert wrapped.inventory is not None
    assert list(wrapped.inventory.instances()) == list(_machines(1000))
    assert len(caught) == 2


def Replaced(hypervisor: ports.Hypervisor, **other: object) -> Any:  # noqa: N802 - stands for one
    """``hypervisor`` with other parts."""

    class _Replaced:
        def __getattr__(self, name: str) -> Any:
            return other[name] if name in other else getattr(hypervisor, name)

    return _Replaced()


def test_capabilities_stay_the_same(tmp_path: Path) -> None:
    class Few:
        limits = (Limit("snapshots.memory", "no memory"),)

    hypervisor = Replaced(lab(tmp_path), snapshots=Few(), clones=object(), console=None)
    wrapped: Any = intercepted(hypervisor, lambda _call, go: go())
    assert capabilities(wrapped) == capabilities(hypervisor)
    graded = {each.part: each for each in capabilities(wrapped)}
    assert graded["snapshots"].limits == Few.limits
    assert graded["clones"].grade is Grade.FULL
    # Python 3.12 looks for the attribute of a protocol without asking __getattr__.
    assert isinstance(wrapped.snapshots, Limited)
    assert "limits" in dir(type(wrapped.snapshots))
    assert wrapped.console is None


def test_what_is_no_part_is_the_hypervisors_own(tmp_path: Path) -> None:
    hypervisor = lab(tmp_path)
    wrapped = intercepted(hypervisor, lambda _call, go: go())
    assert wrapped.url == hypervisor.url
    with pytest.raises(AttributeError):
        _ = wrapped.nonsense  # type: ignore[attr-defined]
    assert intercepted(hypervisor) is hypervisor


def test_one_call_through_interceptors() -> None:
    call = Call("u", "hypervisor", "connect")
    assert through((), call, lambda: 3) == 3
    assert through((lambda _call, go: go() + 1, lambda _call, go: go() * 2), call, lambda: 3) == 7
