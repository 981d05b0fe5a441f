"""What a spec asks for is in force in the backend, where the observer looks past the driver."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from pathlib import Path
from typing import Any

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.target import Observation
from hypersdk.model.errors import Conflict
from hypersdk.model.specs import CloudInit, MountSpec, PortSpec
from hypersdk.model.units import MIB

#: Beyond what the target's spec has.
MORE_MEMORY = 32 * MIB


def _observed(lab: Lab, field: str, **changes: Any) -> Any:
    """This field of a running instance as the backend shows it."""
    name = lab.running(**changes).name
    return lab.eventually(
        lambda: _seen(lab, name, field), lambda seen: seen is not None, f"{field} in the backend"
    )


def _seen(lab: Lab, name: str, field: str) -> Any:
    seen: Observation | None = lab.observer.look(name)
    if seen is None:
        expect.fail(f"the backend does not know '{name}'")
    value = getattr(seen, field)
    if value is None:
        expect.skip(f"the observer shows no {field}")
    return value


@case("lifecycle", needs=("observer",))
def vcpus_are_in_force(lab: Lab) -> None:
    """A running instance has the processors of its spec in the backend."""
    expect.equal(_observed(lab, "vcpus", vcpus=2), 2, "processors in the backend")
    expect.equal(_observed(lab, "vcpus", vcpus=1), 1, "processors in the backend")


@case("lifecycle")
def vcpus_are_reported(lab: Lab) -> None:
    """The driver reports the processors that an instance was given."""
    expect.equal(lab.create(vcpus=2).vcpus, 2, "processors")


@case("lifecycle.memory_limit", needs=("observer",))
def memory_is_in_force(lab: Lab) -> None:
    """A running instance has the memory of its spec in the backend, to the byte."""
    for more in (0, MORE_MEMORY):
        memory = lab.target.spec("kit").memory + more
        expect.equal(_observed(lab, "memory", memory=memory), memory, "memory in the backend")


@case("lifecycle.memory_limit")
def memory_is_reported(lab: Lab) -> None:
    """The driver reports the memory that an instance was given, stopped and running."""
    memory = lab.target.spec("kit").memory + MORE_MEMORY
    made = lab.create(memory=memory)
    expect.equal(made.memory, memory, "memory, stopped")
    lab.lifecycle.start(made.name)
    expect.equal(lab.look(made.name).memory, memory, "memory, running")


@case("lifecycle.cpu_weight", needs=("observer",))
def cpu_weight_is_in_force(lab: Lab) -> None:
    """A running instance has the CPU weight of its spec in the backend."""
    for weight in (50, 300):
        expect.equal(_observed(lab, "cpu_weight", cpu_weight=weight), weight, "weight")


@case("lifecycle.cpu_limit", needs=("observer",))
def cpu_limit_is_in_force(lab: Lab) -> None:
    """A running instance has the limit of processor time of its spec in the backend."""
    seen = _observed(lab, "cpu_limit", cpu_limit=0.5)
    expect.true(abs(seen - 0.5) < 0.01, f"the backend allows {seen} processors, not 0.5")


@case("lifecycle.pids_limit", needs=("observer",))
def pids_limit_is_in_force(lab: Lab) -> None:
    """A running instance has the limit of processes of its spec in the backend."""
    expect.equal(_observed(lab, "pids_limit", pids_limit=77), 77, "processes in the backend")


@case("lifecycle.env", needs=("observer",))
def variables_are_in_force(lab: Lab) -> None:
    """The variables of a spec are there in the backend, with their exact values."""
    env = {"KIT_WORD": "one two", "KIT_SIGNS": "a=b $HOME \"q\" 'r'", "KIT_EMPTY": ""}
    seen = _observed(lab, "env", env=env)
    expect.equal({key: seen.get(key) for key in env}, env, "variables in the backend")


@case("lifecycle.disks", needs=("observer",))
def disks_are_there(lab: Lab) -> None:
    """The disks of a spec are in the backend, with their names and sizes."""
    made = lab.running()
    seen = _seen(lab, made.name, "disks")
    shown = {disk.name: disk.size for disk in made.disks}
    expect.equal({name: seen.get(name) for name in shown}, shown, "disks in the backend")
    wanted = {disk.name: disk.size for disk in lab.target.spec("kit").disks if disk.name}
    sized = {name: size for name, size in wanted.items() if size}
    expect.equal({name: shown.get(name) for name in sized}, sized, "disks of the instance")


@case("lifecycle.nics", needs=("observer",))
def nics_are_there(lab: Lab) -> None:
    """An instance has the NICs of its spec in the backend."""
    bare = len(lab.target.spec("kit").nics)
    seen = _observed(lab, "nics", nics=(*lab.target.spec("kit").nics, lab.nic()))
    expect.true(len(seen) >= max(1, bare), f"the backend shows {seen}")
    expect.equal(len({*seen}), len(seen), "how many different NICs there are")


@case("lifecycle", needs=("observer",))
def they_outlive_a_restart(lab: Lab) -> None:
    """Processors and memory are in force again after a stop and a start."""
    memory = lab.target.spec("kit").memory + MORE_MEMORY
    name = lab.running(vcpus=2, memory=memory).name
    before = lab.observer.look(name)
    lab.lifecycle.stop(name, force=True)
    lab.lifecycle.start(name)
    after = lab.observer.look(name)
    if before is None or after is None:
        expect.fail("the backend does not know the instance")
    expect.equal((after.vcpus, after.memory), (before.vcpus, before.memory), "in the backend")


@case("lifecycle.mounts", needs=("execution",))
def mounts_are_seen_inside(lab: Lab) -> None:
    """A folder of the host is seen inside, and cannot be written where it is read-only."""
    with tempfile.TemporaryDirectory(prefix="kit-") as folder:
        Path(folder, "word").write_text("from the host")
        mount = MountSpec(source=folder, target="/kit", read_only=True)
        name = lab.running(mounts=(mount,)).name
        read = lab.execution.run(name, ("cat", "/kit/word"))
        expect.equal((read.exit_code, read.stdout), (0, b"from the host"), "the file inside")
        written = lab.execution.run(name, ("sh", "-c", "echo x > /kit/other"))
        expect.true(written.exit_code != 0, "a read-only mount was written")
        expect.equal([path.name for path in Path(folder).iterdir()], ["word"], "the folder")
        lab.lifecycle.stop(name, force=True)


@case("lifecycle.ports")
def ports_lead_inside(lab: Lab) -> None:
    """A port of the host is open while the instance runs, and closed when it is stopped."""
    port = _free_port()
    name = lab.running(ports=(PortSpec(host=port, inside=7),)).name
    lab.eventually(lambda: _open(port), bool, "the port, while it runs")
    lab.lifecycle.stop(name, force=True)
    lab.eventually(lambda: _open(port), lambda found: not found, "the port, when it is stopped")


@case("lifecycle.ports")
def a_taken_port_is_refused(lab: Lab) -> None:
    """An instance whose port is taken is refused at create or at start, naming the port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        name = lab.name()

        def try_it() -> None:
            lab.create(lab.spec(name=name, ports=(PortSpec(host=port, inside=7),)))
            lab.lifecycle.start(name)

        error = expect.raises(Conflict, try_it, "an instance with a port that is taken")
        expect.contains(error.message, str(port), "the message of the error")


@case("lifecycle.cloud_init")
def cloud_init_is_accepted(lab: Lab) -> None:
    """An instance with first-boot settings is made, runs, and goes without a trace."""
    settings = CloudInit(hostname="kit", user="kit", ssh_keys=("ssh-ed25519 AAAA kit",))
    with lab.nothing_left():
        name = lab.running(cloud_init=settings).name
        lab.lifecycle.stop(name, force=True)
        lab.lifecycle.delete(name, disks=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _open(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
