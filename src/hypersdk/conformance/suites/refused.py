"""What a driver says it lacks: using it raises NotSupported, and nothing changes.

That a limit is true can be known only so far: a driver that lists one and does it all the same
says the untruth, and so does one that lists it and quietly does nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

from hypersdk.conformance import expect
from hypersdk.conformance.case import add
from hypersdk.conformance.lab import Lab
from hypersdk.drivers.ports import Limited
from hypersdk.model.errors import InvalidInput, NotSupported
from hypersdk.model.specs import CloudInit, DiskSpec, MountSpec, NicSpec, PortSpec
from hypersdk.model.units import MIB

#: Asked of a fresh instance, by name: stopped, or running where it says so.
Ask = Callable[[Lab, str], object]

_STOPPED: Mapping[str, Ask] = {
    "lifecycle.start_paused": lambda lab, name: lab.lifecycle.start(name, paused=True),
    "snapshots.memory": lambda lab, name: lab.snapshots.create(name, "kit", memory=True),
    "snapshots.quiesce": lambda lab, name: lab.snapshots.create(name, "kit", quiesce=True),
    "snapshots.revert": lambda lab, name: lab.snapshots.revert(name, "kit"),
    "disks.rewrite": lambda lab, name: lab.enter(lab.disks.rewrite(name)),
    "clones.linked": lambda lab, name: lab.clones.clone(name, lab.name(), linked=True),
    "hotplug.disk": lambda lab, name: lab.hotplug.attach_disk(name, DiskSpec(size=MIB)),
    "hotplug.nic": lambda lab, name: lab.hotplug.attach_nic(name, NicSpec()),
    "hotplug.vcpus": lambda lab, name: lab.hotplug.set_vcpus(name, 2),
    "hotplug.memory": lambda lab, name: lab.hotplug.set_memory(name, lab.look(name).memory),
    "hotplug.media": lambda lab, name: lab.hotplug.insert_media(name, "/nonexistent/kit.iso"),
}

_RUNNING: Mapping[str, Ask] = {
    "lifecycle.pause": lambda lab, name: lab.lifecycle.pause(name),
    "lifecycle.reset": lambda lab, name: lab.lifecycle.reset(name),
    "lifecycle.graceful_stop": lambda lab, name: lab.lifecycle.stop(name),
    "snapshots.running": lambda lab, name: lab.snapshots.create(name, "kit"),
    "disks.running": lambda lab, name: lab.enter(lab.disks.view(name, {})),
    "console.display": lambda lab, name: lab.console.display(name),
    "console.serial": lambda lab, name: lab.enter(lab.console.serial(name)),
    "console.screenshot": lambda lab, name: lab.console.screenshot(name),
    "console.keys": lambda lab, name: lab.console.send_keys(name, ("a",)),
    "guest_agent.freeze": lambda lab, name: lab.guest_agent.freeze(name),
    "logs.follow": lambda lab, name: next(iter(lab.logs.follow(name)), None),
}

_SPECS: Mapping[str, Callable[[Lab], object]] = {
    "lifecycle.cpu_weight": lambda lab: lab.create(cpu_weight=50),
    "lifecycle.cpu_limit": lambda lab: lab.create(cpu_limit=0.5),
    "lifecycle.disks": lambda lab: lab.create(disks=(DiskSpec(size=MIB),)),
    "lifecycle.nics": lambda lab: lab.create(nics=(NicSpec(),)),
    "lifecycle.env": lambda lab: lab.create(env={"KIT": "1"}),
    "lifecycle.mounts": lambda lab: lab.create(
        mounts=(MountSpec(source="/tmp", target="/kit"),)  # noqa: S108
    ),
    "lifecycle.ports": lambda lab: lab.create(ports=(PortSpec(host=18_081, inside=80),)),
    "lifecycle.pids_limit": lambda lab: lab.create(pids_limit=77),
    "lifecycle.cloud_init": lambda lab: lab.create(cloud_init=CloudInit(hostname="kit")),
    "lifecycle.tags": lambda lab: lab.create(tags={"kit": "1"}),
    "images.load": lambda lab: lab.images.load(io.BytesIO(b""), "kit:none"),
}


def _declared(lab: Lab, aspect: str) -> None:
    part = aspect.partition(".")[0]
    found = getattr(lab.hypervisor, part)
    limits = found.limits if isinstance(found, Limited) else ()
    if aspect not in {limit.aspect for limit in limits}:
        expect.skip(f"no such limit: {'offered' if found is not None else f'no {part} part'}")


def _of_an_instance(aspect: str, ask: Ask, *, running: bool) -> Callable[[Lab], None]:
    def run(lab: Lab) -> None:
        _declared(lab, aspect)
        name = (lab.running() if running else lab.create()).name
        with lab.unchanged(name), lab.nothing_left():
            expect.raises(NotSupported, lambda: ask(lab, name), f"using {aspect}")

    return run


def _of_a_spec(aspect: str, ask: Callable[[Lab], object]) -> Callable[[Lab], None]:
    def run(lab: Lab) -> None:
        _declared(lab, aspect)
        with lab.unchanged(), lab.nothing_left():
            # A spec that a driver cannot honour is also invalid input to it.
            expect.raises((NotSupported, InvalidInput), lambda: ask(lab), f"using {aspect}")

    return run


def _generate() -> None:
    runs = {
        **{a: _of_an_instance(a, ask, running=False) for a, ask in _STOPPED.items()},
        **{a: _of_an_instance(a, ask, running=True) for a, ask in _RUNNING.items()},
        **{a: _of_a_spec(a, ask) for a, ask in _SPECS.items()},
    }
    for aspect, run in sorted(runs.items()):
        add(
            "refused",
            aspect.replace(".", "_"),
            "core",
            f"A driver that says it lacks {aspect} raises NotSupported, and nothing changes.",
            run,
        )


_generate()
