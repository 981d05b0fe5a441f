"""Who an instance is: the same for every connection and process, and for nobody else."""

from __future__ import annotations

import json
import subprocess
import sys

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.target import MakesForeign
from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.registry import schemes
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState


@case("lifecycle")
def a_new_connection_sees_the_same(lab: Lab) -> None:
    """A new connection finds an instance with the same id, state, figures and owner."""
    made = lab.running()
    expect.equal(lab.connect().inventory.instance(made.name), made, "seen by a new connection")


@case("lifecycle")
def a_new_connection_adopts_it(lab: Lab) -> None:
    """A running instance can be stopped, started and deleted by a connection that did not make
    it."""
    made = lab.running()
    lab.hypervisor.close()
    other = lab.connect()
    expect.equal(other.inventory.instance(made.id).state, InstanceState.RUNNING, "its state")
    other.lifecycle.stop(made.name, force=True)
    other.lifecycle.start(made.name)
    other.lifecycle.stop(made.name, force=True)
    other.lifecycle.delete(made.name, disks=True)
    expect.raises(
        InstanceNotFound, lambda: other.inventory.instance(made.id), "a look after delete"
    )


@case("lifecycle")
def id_finds_it_like_its_name(lab: Lab) -> None:
    """An instance is found by its id as well as by its name, and is the same."""
    made = lab.create()
    expect.equal(lab.look(made.id), lab.look(made.name), "found by id")


@case("lifecycle")
def id_stays_for_life(lab: Lab) -> None:
    """The id stays through starts, stops and pauses."""
    made = lab.create()
    seen = []
    for operation in (lab.lifecycle.start, lambda name: lab.lifecycle.stop(name, force=True)) * 2:
        operation(made.name)
        seen.append(lab.look(made.name).id)
    expect.equal({*seen}, {made.id}, "ids")


@case("lifecycle")
def ids_are_unique(lab: Lab) -> None:
    """Two instances have two ids, though made from the same spec."""
    first, second = lab.create(), lab.create()
    expect.true(first.id != second.id, f"both have the id {first.id}")


@case("lifecycle")
def a_name_used_again_is_another_instance(lab: Lab) -> None:
    """An instance under the name of one that was deleted has a new id; the old id finds nothing."""
    name = lab.name()
    first = lab.create(lab.spec(name=name))
    lab.lifecycle.delete(name, disks=True)
    second = lab.create(lab.spec(name=name))
    if first.id == name:
        expect.skip("ids are names here")
    expect.true(first.id != second.id, f"both have the id {first.id}")
    expect.raises(InstanceNotFound, lambda: lab.look(first.id), "a look by the old id")


@case("lifecycle", needs=("observer",))
def id_is_that_of_the_backend(lab: Lab) -> None:
    """The id is the one by which the backend knows the instance."""
    made = lab.create()
    seen = lab.observer.look(made.name)
    if seen is None:
        expect.fail("the backend does not know the instance")
    if not seen.id:
        expect.skip("the observer shows no ids")
    expect.equal(made.id, seen.id, "its id")


@case("lifecycle")
def what_we_make_is_ours(lab: Lab) -> None:
    """An instance made by the driver is owned, for every connection, in the list as well."""
    name = lab.create().name
    other = lab.connect()
    for where, owned in (
        ("at once", lab.look(name).owned),
        ("by another connection", other.inventory.instance(name).owned),
        ("in the list", {f.name: f.owned for f in other.inventory.instances()}.get(name)),
    ):
        expect.equal(owned, True, f"owned, {where}")


@case("lifecycle")
def what_others_make_is_theirs(lab: Lab) -> None:
    """An instance made by another program is listed, and not as ours."""
    if not isinstance(lab.target, MakesForeign):
        expect.skip("the target cannot make instances past the driver")
    name = lab.name()
    lab.target.make_foreign(name)
    expect.equal(lab.look(name).owned, False, "owned")
    listed = {found.name: found.owned for found in lab.inventory.instances()}
    expect.equal(listed.get(name), False, "owned, in the list")


@case("lifecycle.tags")
def tags_and_folder_are_kept(lab: Lab) -> None:
    """Tags and folder are there for a new connection, after a start and a stop."""
    tags = {"team": "kit", "tier": "1"}
    made = lab.create(tags=tags, folder="kit/web")
    lab.lifecycle.start(made.name)
    lab.lifecycle.stop(made.name, force=True)
    found = lab.connect().inventory.instance(made.name)
    expect.equal(dict(found.tags), tags, "its tags")
    expect.equal(found.folder, "kit/web", "its folder")


@case("lifecycle.tags")
def tags_belong_to_one_instance(lab: Lab) -> None:
    """The tags of one instance are not those of another."""
    first = lab.create(tags={"kit": "first"})
    second = lab.create(tags={"kit": "second"}, folder="kit")
    bare = lab.create()
    seen = [dict(lab.look(made.name).tags).get("kit") for made in (first, second, bare)]
    expect.equal(seen, ["first", "second", dict(lab.target.spec("x").tags).get("kit")], "tags")
    expect.equal(lab.look(first.name).folder, lab.target.spec("x").folder, "folder of the first")


@case("inventory")
def the_list_is_in_order(lab: Lab) -> None:
    """Instances are listed by name, each once."""
    if lab.offers("lifecycle"):
        for name in reversed([lab.name() for _ in range(5)]):
            lab.create(lab.spec(name=name))
    names = lab.names()
    expect.equal(names, sorted(names), "names in the list")
    ids = [found.id for found in lab.inventory.instances()]
    expect.equal(len({*ids}), len(ids), "how many different ids are listed")


@case("lifecycle")
def the_list_agrees_with_each_look(lab: Lab) -> None:
    """The list shows of each instance what a look at it shows: id, state, figures, owner. A list
    that cannot know a figure shows 0, or no disks at all."""
    stopped, running = lab.create().name, lab.running().name
    listed = {found.name: found for found in lab.inventory.instances()}
    for name in (stopped, running):
        one, many = lab.look(name), listed[name]
        for field in ("id", "state", "owned"):
            expect.equal(getattr(many, field), getattr(one, field), f"{field} in the list")
        for field in ("vcpus", "memory"):
            known = (0, getattr(one, field))
            expect.contains(known, getattr(many, field), f"{field} in the list")
        sizes = {disk.name: disk.size for disk in one.disks}
        if many.disks:
            expect.equal({d.name: d.size for d in many.disks}, sizes, "disks in the list")


_LOOK = """
import json, sys
from hypersdk.drivers.registry import connect
hypervisor = connect(sys.argv[1])
found = hypervisor.inventory.instance(sys.argv[2])
print(json.dumps([found.id, found.name, found.state.value, found.vcpus, found.memory, found.owned]))
hypervisor.close()
"""


@case("lifecycle")
def another_process_sees_the_same(lab: Lab) -> None:
    """Another process finds a running instance with the same id, state, figures and owner."""
    url = lab.target.url
    if not {url.partition("://")[0], url.partition("+")[0]} & {*schemes()}:
        expect.skip("the driver is not installed for other processes")
    made = lab.running()
    program = subprocess.Popen(
        [sys.executable, "-c", _LOOK, url, made.name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lab.later("end the other process", lambda _: program.kill())
    while program.poll() is None:
        token_in_force().wait(0.02)
    out, errors = program.communicate()
    expect.equal(program.returncode, 0, f"exit status of the other process, which said {errors}")
    known = [made.id, made.name, made.state.value, made.vcpus, made.memory, made.owned]
    expect.equal(json.loads(out), known, "seen by another process")
