"""Make, run, stop and delete containers."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import grpc

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.containerd import labels, translate
from hypersdk.drivers.containerd.address import is_identifier
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import (
    Container,
    CreateContainerRequest,
    DeleteContainerRequest,
    ListContainersRequest,
)
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.content import Content
from hypersdk.drivers.containerd.errors import complaint, native, status
from hypersdk.drivers.containerd.inventory import container_of, observed, process_of
from hypersdk.drivers.containerd.layers import Layers
from hypersdk.drivers.containerd.leases import lease
from hypersdk.drivers.containerd.manifests import found, read_manifest
from hypersdk.drivers.containerd.spec import SPEC_TYPE, packed, runtime_spec
from hypersdk.drivers.containerd.tasks import Tasks
from hypersdk.drivers.containerd.users import user_of
from hypersdk.drivers.containerd.volumes import Volumes
from hypersdk.drivers.specs import checked, refuse
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.specs import InstanceSpec

RUNTIME = "io.containerd.runc.v2"
#: Bytes below which runc cannot start a process.
MEMORY_MIN = 6 << 20
#: Seconds in which a start that meets others must have come about.
_START_SECONDS = 60.0
#: Seconds for another client to finish the start that it has begun, before it is taken for dead.
_PATIENCE_SECONDS = 5.0
#: Seconds between two looks at what another client does.
_LOOK_SECONDS = 0.02
_LIMITS = (
    Limit("lifecycle.disks", "containers have a root filesystem and mounts, no disks"),
    Limit("lifecycle.nics", "containerd makes no networks: containers have a loopback only"),
    Limit("lifecycle.ports", "containerd makes no networks: no port leads inside"),
    Limit("lifecycle.cloud_init", "containers do not boot; use image, command and env"),
)
_TAKEN = grpc.StatusCode.ALREADY_EXISTS
_OF_MACHINES = ("firmware", "cdrom", "acceleration", "kernel", "initrd", "kernel_arguments")


class ContainerdLifecycle:
    """May be used by any number of threads."""

    limits = _LIMITS

    def __init__(self, connection: Connection, content: Content, layers: Layers) -> None:
        self._connection = connection
        self._content = content
        self._layers = layers
        self._tasks = Tasks(connection)
        self._volumes = Volumes(connection.address)

    def create(self, spec: InstanceSpec) -> Instance:
        """Its image must be there. ``vcpus`` and ``cpu_limit`` become a quota of processor time;
        the container has a network of its own without any connection.

        Raises NotFound for the image.
        """
        self._check(spec)
        marks = labels.of_spec(spec)
        mounts = [self._volumes.mounted(mount) for mount in spec.mounts]
        key = f"{spec.name}-{secrets.token_hex(4)}"
        with native(f"create '{spec.name}'"), lease(self._connection) as held:
            image = found(self._connection, spec.image)
            manifest = read_manifest(self._content, image.target)
            user = user_of(str(manifest.settings.get("User") or ""), self._content, manifest.layers)
            address = self._connection.address
            cgroup = f"/hypersdk/{address.namespace}-{key}"
            document = runtime_spec(spec, manifest, user, mounts, cgroup)
            marks |= {
                labels.LOG: f"{address.folder}/{address.namespace}/logs/{key}.log",
                labels.STOP_SIGNAL: str(stop_signal(manifest.settings.get("StopSignal"))),
            }
            top = self._layers.unpacked(
                self._content, manifest.config, manifest.layers, manifest.ids, held
            )
            container = Container(
                id=spec.name,
                labels=labels.checked(marks, spec.name),
                image=image.name,
                runtime=Container.Runtime(name=RUNTIME),
                spec=packed(SPEC_TYPE, document),
                snapshotter=self._layers.snapshotter,
                snapshot_key=key,
            )
            made = self._volumes.make(mounts)
            with self._undone(key, made):
                self._layers.prepare(key, top, lease=held)
                created = self._created(container)
        return translate.instance(created, None)

    def start(self, name: str, *, paused: bool = False) -> None:
        """``paused``: all is made, and the first process waits to be started by ``resume``."""
        container = container_of(self._connection, name)
        begun = time.monotonic()
        with native(f"start '{name}'", InstanceNotFound):
            while (waited := time.monotonic() - begun) < _START_SECONDS:
                if self._started(container, paused=paused, patient=waited < _PATIENCE_SECONDS):
                    return
                token_in_force().wait(_LOOK_SECONDS)
        raise OperationTimeout(
            f"'{name}' does not start: something else seems to work on it",
            hint="See its task: ctr tasks ls; stop it with force.",
        )

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        """Sends the image's stop signal (SIGTERM unless it says another)."""
        container, process = observed(self._connection, name)
        with native(f"stop '{name}'"):
            if process is None:
                return
            if force or process.status in {task_pb2.STOPPED, task_pb2.UNKNOWN}:
                self._tasks.kill(name)
                return
            state = translate.state(process, container)
            if state is InstanceState.PAUSED:
                raise InvalidState(
                    f"'{name}' is paused and cannot be asked to stop",
                    hint="Resume it first, or stop it with force.",
                )
            if state is InstanceState.STOPPED:  # made by a start that did not get further
                self._tasks.kill(name)
                return
            number = int(container.labels.get(labels.STOP_SIGNAL, signal.SIGTERM))
            if not self._tasks.ask(name, number, timeout):
                raise OperationTimeout(
                    f"'{name}' still runs {timeout:g} s after it was asked to stop",
                    hint="Wait longer, or stop it with force.",
                )
            self._tasks.clear(name)

    def pause(self, name: str) -> None:
        process, state = self._running(name)
        if state is InstanceState.RUNNING:
            with native(f"pause '{name}'"):
                self._unless(name, task_pb2.PAUSED, lambda: self._tasks.pause(process.id))

    def resume(self, name: str) -> None:
        process, state = self._running(name)
        if state is InstanceState.PAUSED:
            with native(f"resume '{name}'"):
                self._unless(name, task_pb2.RUNNING, lambda: self._go_on(process))

    def reset(self, name: str) -> None:
        """Killed and started anew; one that was paused waits to be resumed."""
        container, process = observed(self._connection, name)
        state = translate.state(process, container)
        if state is InstanceState.STOPPED:
            raise InvalidState(f"'{name}' is stopped", hint="Start it.")
        with native(f"reset '{name}'", InstanceNotFound):
            self._tasks.kill(name)
        self.start(name, paused=state is InstanceState.PAUSED)

    def delete(self, name: str, *, disks: bool = False) -> None:
        """With its writable layer, its snapshots and its log. ``disks``: and the volumes that only
        it uses."""
        container, process = observed(self._connection, name)
        state = translate.state(process, container)
        if state is not InstanceState.STOPPED:
            raise InvalidState(f"'{name}' is {state.value}", hint="Stop it first.")
        with native(f"delete '{name}'", InstanceNotFound):
            self._tasks.kill(name)
            others = self._others(name) if disks else []
            self._connection.change("containers.Delete", DeleteContainerRequest(id=name))
            if container.snapshot_key:
                self._layers.of(container.snapshotter).remove(container.snapshot_key)
            if labels.snapshots(container.labels):
                # Nothing but the container referred to them: they are garbage by now.
                with lease(self._connection, collect=True):
                    pass
        log = container.labels.get(labels.LOG)
        if log:
            with suppress(FileNotFoundError):
                os.unlink(log)
        if disks:
            self._volumes.remove(container, others)

    def _check(self, spec: InstanceSpec) -> None:
        checked(spec)
        for aspect, wanted in zip(
            _LIMITS, (spec.disks, spec.nics, spec.ports, spec.cloud_init), strict=True
        ):
            if wanted:
                raise NotSupported(
                    f"'{spec.name}' asks for {aspect.aspect.partition('.')[2]}: {aspect.note}",
                    hint="Leave it out.",
                )
        refuse(spec, _OF_MACHINES, "which a container does not have")
        for problem, hint, wrong in (
            (
                "is no name for a container",
                "Names have letters, digits, and single '.', '_' or '-' between them; 76 at most.",
                not is_identifier(spec.name),
            ),
            ("needs an image", "Name one: image='debian:12'.", not spec.image),
            (
                "has less memory than a container can start with",
                "Give it 6 MiB or more.",
                spec.memory < MEMORY_MIN,
            ),
        ):
            if wrong:
                raise InvalidInput(f"'{spec.name}' {problem}", hint=hint)
        _check_room(spec)

    def _created(self, container: Container) -> Container:
        try:
            created: Container = self._connection.change(
                "containers.Create", CreateContainerRequest(container=container), timeout=30
            ).container
        except grpc.RpcError as error:
            if status(error) is _TAKEN:
                raise AlreadyExists(
                    f"'{container.id}' exists in {self._connection}",
                    hint="Take another name, or delete that one.",
                ) from error
            raise
        return created

    @contextmanager
    def _undone(self, key: str, volumes: list[str]) -> Iterator[None]:
        """Whatever fails, nothing stays."""
        try:
            yield
        except BaseException:
            with undisturbed():
                with suppress(grpc.RpcError):  # the lease's end removes it as well
                    self._layers.remove(key)
                self._volumes.discard(volumes)
            raise

    def _started(self, container: Container, *, paused: bool, patient: bool) -> bool:
        """One attempt; False when another client is at it and one has to look anew."""
        process = process_of(self._connection, container.id)
        if process is None:
            return self._made_to_run(container, paused=paused)
        if process.status == task_pb2.STOPPED:
            self._tasks.clear(container.id)
            return self._made_to_run(container, paused=paused)
        if process.status == task_pb2.CREATED:
            return self._going(container.id, paused=paused, patient=patient)
        if process.status in {task_pb2.PAUSED, task_pb2.PAUSING} and not paused:
            self._tasks.resume(container.id)
        return True

    def _made_to_run(self, container: Container, *, paused: bool) -> bool:
        try:
            self._tasks.create(container, halted=paused)
        except grpc.RpcError as error:
            # "file exists": the folder that another client's shim has just made.
            if status(error) is _TAKEN or "file exists" in complaint(error):
                return False
            raise
        if paused:
            return True
        try:
            self._tasks.start(container.id)
        except BaseException:
            if self._runs(container.id):  # another client was quicker
                return True
            with undisturbed(), suppress(grpc.RpcError):
                self._tasks.kill(container.id)
            raise
        return True

    def _going(self, name: str, *, paused: bool, patient: bool) -> bool:
        """A task that was made and not started: it is halted, or somebody is about to start it, or
        has died before."""
        halted = labels.HALTED in container_of(self._connection, name).labels
        if halted and paused:
            return True
        if not halted and patient:
            return False
        try:
            self._tasks.start(name)
        except grpc.RpcError:
            process = process_of(self._connection, name)
            if process is not None and process.status == task_pb2.CREATED:
                raise
            return False
        return True

    def _runs(self, name: str) -> bool:
        with suppress(grpc.RpcError), undisturbed():
            process = process_of(self._connection, name)
            return process is not None and process.status == task_pb2.RUNNING
        return False

    def _go_on(self, process: task_pb2.Process) -> None:
        if process.status == task_pb2.CREATED:
            self._tasks.start(process.id)
        else:
            self._tasks.resume(process.id)

    def _unless(self, name: str, wanted: int, action: Callable[[], None]) -> None:
        """That another client was quicker is no error."""
        try:
            action()
        except grpc.RpcError:
            process = process_of(self._connection, name)
            if process is None or process.status != wanted:
                raise

    def _running(self, name: str) -> tuple[task_pb2.Process, InstanceState]:
        container, process = observed(self._connection, name)
        state = translate.state(process, container)
        if process is None or state is InstanceState.STOPPED:
            raise InvalidState(f"'{name}' is stopped", hint="Start it first.")
        return process, state

    def _others(self, name: str) -> list[Container]:
        listed = self._connection.read("containers.List", ListContainersRequest()).containers
        return [other for other in listed if other.id != name]


def _check_room(spec: InstanceSpec) -> None:
    processors = os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for what, wanted, there in (
        ("processors", max(spec.vcpus, spec.vcpus_maximum, spec.cpu_limit), processors),
        ("bytes of memory", max(spec.memory, spec.memory_maximum), memory),
    ):
        if wanted > there:
            raise LimitExceeded(
                f"'{spec.name}' asks for {wanted} {what}, of which the host has {there}",
                hint="Ask for less.",
            )


def stop_signal(wanted: object) -> int:
    """``SIGQUIT``, ``QUIT`` or ``3`` of an image; SIGTERM when it says nothing we know."""
    text = str(wanted or "").upper()
    if text.isdigit() and 0 < int(text) < signal.NSIG:
        return int(text)
    name = text if text.startswith("SIG") else f"SIG{text}"
    return int(getattr(signal, name, signal.SIGTERM))
