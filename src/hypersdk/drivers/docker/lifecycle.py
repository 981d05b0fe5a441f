"""Make, run, stop and delete containers."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Collection

from docker.errors import APIError
from docker.errors import NotFound as DockerNotFound

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.docker import configuration, volumes
from hypersdk.drivers.docker.configuration import Surroundings
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.hostports import explained
from hypersdk.drivers.docker.translate import REMOVING, described, identity, observed_state
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorBusy,
    InstanceNotFound,
    InvalidState,
    NotFound,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.specs import InstanceSpec

#: Seconds until a container that was killed must be gone: its processes may hang in the kernel.
_KILL_SECONDS = 20.0
_FIRST_LOOK_SECONDS = 0.02
_CONFLICT, _NOT_MODIFIED = 409, 304
_RUNNING, _PAUSED, _STOPPED = InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPED

LIMITS = (
    Limit("lifecycle.start_paused", "the engine cannot start a container paused"),
    Limit("lifecycle.disks", "containers have volumes instead of disks"),
    Limit("lifecycle.cloud_init", "containers are set up by their image and environment"),
)


class DockerLifecycle:
    """May be used by any number of threads."""

    limits = LIMITS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, spec: InstanceSpec) -> Instance:
        """From an image that the engine has. Volumes that do not exist are made, and are ours.
        Without NICs it has no network, or the engine's default one when ports are to be reached.

        Raises NotFound for an image or network that is not there, AlreadyExists, InvalidInput,
        LimitExceeded.
        """
        around = Surroundings.of(self._connection.facts, self._connection.api)
        mark = str(uuid.uuid4())
        config = configuration.container(spec, mark, around)
        client = self._connection.client
        made: list[str] = []
        container = ""
        with native(f"create '{spec.name}'"):
            try:
                # Else its volumes would be made, and removed again, for nothing.
                self._connection.image(spec.image)
                self._check_networks(spec)
                volumes.make_missing(self._connection, configuration.volumes(spec), mark, made)
                container = self._connection.make(config, spec.name)
                for network in configuration.networks(spec)[1:]:
                    client.connect_container_to_network(container, network)
                return described(client.inspect_container(container))
            except BaseException:
                remove_container(self._connection, container)
                volumes.remove(self._connection, made)
                raise

    def start(self, name: str, *, paused: bool = False) -> None:
        """A paused one runs on. Raises AlreadyExists naming a port that is taken."""
        if paused:
            raise NotSupported(
                f"'{name}' cannot be started paused: {LIMITS[0].note}",
                hint="Start it, then pause it.",
            )
        found = self._connection.find(name)
        state = observed_state(found)
        with explained(self._connection, name), native(f"start '{name}'"):
            if state is _PAUSED:
                self._connection.client.unpause(found["Id"])
            elif state is not _RUNNING:
                self._connection.client.start(found["Id"])

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        """Sends its stop signal, SIGTERM for most images. Raises InvalidState for a paused
        instance unless forced, OperationTimeout when it ignores the signal, Interrupted."""
        found = self._connection.find(name)
        state = observed_state(found)
        if state is _STOPPED:
            return
        if force:
            kill(self._connection, found)
            return
        if state is _PAUSED:
            raise InvalidState(
                f"'{name}' is paused and cannot stop by itself",
                hint="Resume it first, or stop it with force.",
            )
        signal = found["Config"].get("StopSignal") or "SIGTERM"
        with native(f"stop '{name}'"):
            _signal(self._connection, found["Id"], signal)
            wait_stopped(
                self._connection,
                found["Id"],
                timeout,
                lambda: OperationTimeout(
                    f"'{name}' still runs {timeout:g} s after it was sent {signal}",
                    hint="A first process that does not handle the signal ignores it. "
                    "Wait longer, or stop it with force.",
                ),
            )

    def pause(self, name: str) -> None:
        found, state = self._running(name)
        if state is _RUNNING:
            with native(f"pause '{name}'"):
                self._connection.client.pause(found["Id"])

    def resume(self, name: str) -> None:
        found, state = self._running(name)
        if state is _PAUSED:
            with native(f"resume '{name}'"):
                self._connection.client.unpause(found["Id"])

    def reset(self, name: str) -> None:
        """Killed and started; one that was paused is paused again."""
        found, state = self._running(name)
        kill(self._connection, found)
        with explained(self._connection, name), native(f"reset '{name}'"):
            self._connection.client.start(found["Id"])
            if state is _PAUSED:
                self._connection.client.pause(found["Id"])

    def delete(self, name: str, *, disks: bool = False) -> None:
        """With its snapshots. ``disks``: and the volumes that were made for instances and that no
        other container uses; volumes that others made stay.

        Raises InvalidState while it runs.
        """
        found = self._connection.find(name)
        state = observed_state(found)
        if found["State"]["Status"] == REMOVING:
            raise self._gone(name)
        if state is not _STOPPED:
            raise InvalidState(f"'{name}' is {state.value}", hint="Stop it first.")
        try:
            with native(f"delete '{name}'"):
                remove(self._connection, found, disks=disks)
        except HypervisorBusy as error:
            raise self._gone(name) from error

    def _gone(self, name: str) -> InstanceNotFound:
        """Once somebody else has deleted it."""
        until = time.monotonic() + _KILL_SECONDS
        with contextlib.suppress(InstanceNotFound):
            while time.monotonic() < until:
                self._connection.find(name)
                token_in_force().wait(_FIRST_LOOK_SECONDS)
        return InstanceNotFound(
            f"'{name}' was deleted by somebody else", hint="See what there is: docker ps --all"
        )

    def _check_networks(self, spec: InstanceSpec) -> None:
        """The engine would look for them when the container is started."""
        known = {row["Name"] for row in self._connection.client.networks()}
        if missing := set(configuration.networks(spec)) - known:
            raise NotFound(
                f"'{spec.name}' asks for network '{min(missing)}', which is not there",
                hint=f"There are: {', '.join(sorted(known))}.",
            )

    def _running(self, name: str) -> tuple[Json, InstanceState]:
        found = self._connection.find(name)
        state = observed_state(found)
        if state not in (_RUNNING, _PAUSED):
            raise InvalidState(f"'{name}' is {state.value}", hint="Start it first.")
        return found, state


def remove(connection: Connection, found: Json, *, disks: bool, keep: Collection[str] = ()) -> None:
    """A stopped container and what was made for it alone, but for images of these tags. In a
    ``native`` block."""
    doomed = volumes.only_of(connection, found) if disks else []
    connection.client.remove_container(found["Id"], v=disks)
    volumes.remove(connection, doomed)
    images = volumes.images_of(connection, identity(found))
    volumes.remove_images(connection, [tag for tag in images if tag not in keep])


def remove_container(connection: Connection, container: str) -> None:
    """One of ours that came to nothing; empty, or gone already: nothing to do."""
    if container:
        with contextlib.suppress(DockerNotFound):
            connection.client.remove_container(container, force=True)


def kill(connection: Connection, found: Json) -> None:
    """Paused or running; stopped already is fine."""
    name = found["Name"].removeprefix("/")
    with native(f"kill '{name}'"):
        _signal(connection, found["Id"], "SIGKILL")
        wait_stopped(
            connection,
            found["Id"],
            _KILL_SECONDS,
            lambda: OperationTimeout(
                f"'{name}' still runs {_KILL_SECONDS:g} s after it was killed",
                hint="A process of it hangs in the kernel: see dmesg.",
            ),
        )


def wait_stopped(
    connection: Connection, container: str, seconds: float, late: Callable[[], HyperSDKError]
) -> None:
    """Looks often at first. Raises what ``late`` makes after so many seconds, Interrupted."""
    until = time.monotonic() + seconds
    pause = _FIRST_LOOK_SECONDS
    while True:
        try:
            status = connection.client.inspect_container(container)["State"]
        except DockerNotFound:  # made with --rm
            return
        if not status["Running"]:
            return
        left = until - time.monotonic()
        if left <= 0:
            raise late()
        token_in_force().wait(min(pause, left))
        pause = min(2 * pause, WAIT_SLICE)


def _signal(connection: Connection, container: str, signal: str) -> None:
    """One that stopped meanwhile needs no signal."""
    try:
        connection.client.kill(container, signal)
    except APIError as error:
        if error.status_code not in (_CONFLICT, _NOT_MODIFIED, 404):
            raise
