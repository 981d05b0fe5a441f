"""Errors are of the class that the ports name, and say what to do."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial

from hypersdk.conformance import expect
from hypersdk.conformance.case import add, case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import HyperSDKError, InstanceNotFound, InvalidInput, NotFound
from hypersdk.model.specs import DiskSpec, NicSpec

#: Part and aspect → what is asked of an instance that is not there.
_ASKED: Mapping[str, Mapping[str, Callable[[Lab, str], object]]] = {
    "inventory": {"look": lambda lab, name: lab.inventory.instance(name)},
    "details": {"details": lambda lab, name: lab.details.details(name)},
    "lifecycle": {
        "start": lambda lab, name: lab.lifecycle.start(name),
        "force_stop": lambda lab, name: lab.lifecycle.stop(name, force=True),
        "delete": lambda lab, name: lab.lifecycle.delete(name),
        "delete_with_disks": lambda lab, name: lab.lifecycle.delete(name, disks=True),
    },
    "lifecycle.graceful_stop": {"stop": lambda lab, name: lab.lifecycle.stop(name)},
    "lifecycle.pause": {
        "pause": lambda lab, name: lab.lifecycle.pause(name),
        "resume": lambda lab, name: lab.lifecycle.resume(name),
    },
    "lifecycle.reset": {"reset": lambda lab, name: lab.lifecycle.reset(name)},
    "clones": {
        "clone": lambda lab, name: lab.clones.clone(name, lab.name()),
        "make_template": lambda lab, name: lab.clones.make_template(name),
    },
    "snapshots": {
        "snapshot": lambda lab, name: lab.snapshots.create(name, "one"),
        "snapshots": lambda lab, name: lab.snapshots.snapshots(name),
        "delete_snapshot": lambda lab, name: lab.snapshots.delete(name, "one"),
    },
    "snapshots.revert": {"revert": lambda lab, name: lab.snapshots.revert(name, "one")},
    "disks": {"view": lambda lab, name: lab.enter(lab.disks.view(name, {}))},
    "disks.rewrite": {"rewrite": lambda lab, name: lab.enter(lab.disks.rewrite(name))},
    "checkpoints": {"checkpoints": lambda lab, name: lab.checkpoints.checkpoints(name)},
    "metrics": {"metrics": lambda lab, name: lab.metrics.metrics([name])},
    "console.display": {"display": lambda lab, name: lab.console.display(name)},
    "console.serial": {"serial": lambda lab, name: lab.enter(lab.console.serial(name))},
    "console.screenshot": {"screenshot": lambda lab, name: lab.console.screenshot(name)},
    "console.keys": {"keys": lambda lab, name: lab.console.send_keys(name, ("a",))},
    "guest_agent": {"ping": lambda lab, name: lab.guest_agent.ping(name)},
    "guest_agent.freeze": {
        "freeze": lambda lab, name: lab.guest_agent.freeze(name),
        "thaw": lambda lab, name: lab.guest_agent.thaw(name),
    },
    "hotplug.vcpus": {"set_vcpus": lambda lab, name: lab.hotplug.set_vcpus(name, 1)},
    "hotplug.memory": {"set_memory": lambda lab, name: lab.hotplug.set_memory(name, 1 << 28)},
    "hotplug.disk": {
        "attach_disk": lambda lab, name: lab.hotplug.attach_disk(name, DiskSpec(size=1 << 20)),
        "detach_disk": lambda lab, name: lab.hotplug.detach_disk(name, "vdz"),
    },
    "hotplug.nic": {"attach_nic": lambda lab, name: lab.hotplug.attach_nic(name, NicSpec())},
    "hotplug.media": {"eject": lambda lab, name: lab.hotplug.eject_media(name)},
    "live_migration": {
        "migrate": lambda lab, name: lab.live_migration.migrate(name, lab.hypervisor.url)
    },
    "execution": {"run": lambda lab, name: lab.execution.run(name, ("true",))},
    "logs": {"logs": lambda lab, name: lab.logs.read(name)},
    "archives": {"export": lambda lab, name: lab.archives.export(name, io.BytesIO())},
}


def _missing(ask: Callable[[Lab, str], object], what: str) -> Callable[[Lab], None]:
    def run(lab: Lab) -> None:
        name = lab.name()
        with lab.nothing_left():
            error = expect.raises(InstanceNotFound, lambda: ask(lab, name), f"{what} of nobody")
        expect.contains(error.message, name, "the message of the error")

    return run


for _requirement, _calls in _ASKED.items():
    for _name, _ask in _calls.items():
        _words = _name.replace("_", " ")
        add(
            "errors",
            f"{_name}_of_a_missing_instance",
            _requirement,
            f"{_words[0].upper()}{_words[1:]} of an instance that is not there raises "
            "InstanceNotFound naming it.",
            _missing(_ask, _words),
        )


#: Names that nothing has, among them those that attack paths, shells and XML.
ODD_NAMES = (
    "../../etc/passwd",
    "/",
    ".",
    "..",
    "a/b",
    "a;reboot",
    "$(reboot)",
    "<name>",
    "-rf",
    "a b",
    "é" * 40,
    "x" * 300,
    "%00",
    "a\nb",
)


@case("inventory")
def odd_names_are_only_names(lab: Lab) -> None:
    """A name that nothing has, however odd, is not found or refused, and nothing else happens."""
    with lab.unchanged():
        for name in ODD_NAMES:
            expect.raises((NotFound, InvalidInput), partial(lab.look, name), f"a look at {name!r}")


@case("lifecycle")
def odd_names_delete_nothing(lab: Lab) -> None:
    """Deleting by an odd name, or by the begin of one, deletes nothing."""
    made = lab.create()
    with lab.unchanged(made.name):
        for name in (
            *ODD_NAMES,
            made.name[:-1],
            made.name.upper(),
            f"{made.name} ",
            f"{made.name}*",
        ):
            expect.raises(
                (NotFound, InvalidInput),
                partial(lab.lifecycle.delete, name, disks=True),
                f"deleting {name!r}",
            )


@case("lifecycle")
def begin_of_an_id_is_no_id(lab: Lab) -> None:
    """Only a whole id finds an instance: the begin of one may be that of another tomorrow."""
    made = lab.create()
    if made.id == made.name:
        expect.skip("ids are names here")
    expect.raises(InstanceNotFound, lambda: lab.look(made.id[:-1]), "a look by the begin of an id")


@case("lifecycle")
def errors_have_their_fields(lab: Lab) -> None:
    """An error can be shown: its text is its message and its hint, its class says if to retry."""
    error = expect.raises(InstanceNotFound, lambda: lab.look(lab.name()), "a look at nobody")
    expect.equal(str(error), f"{error.message}\n{error.hint}", "the text of the error")
    expect.true(isinstance(error, HyperSDKError) and not error.retryable, "it is not retryable")
