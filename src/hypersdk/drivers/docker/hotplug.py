"""Change the limits and networks of containers, running or stopped."""

from __future__ import annotations

from hypersdk.drivers.docker import marks, translate
from hypersdk.drivers.docker.configuration import (
    DEFAULT_NETWORK,
    LEAST_MEMORY,
    NO_NETWORK,
    Surroundings,
    check_room,
    checked_nic,
)
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import native
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NotSupported,
)
from hypersdk.model.instances import Disk
from hypersdk.model.specs import DiskSpec, NicSpec

_PERIOD_MICROSECONDS = 100_000

_NO_DISK = Limit("hotplug.disk", "a container's volumes are fixed when it is made")
_NO_MEDIA = Limit("hotplug.media", "containers have no drives")
_HINT = "Make the container anew with the volumes it needs."


class DockerHotplug:
    """The ``hotplug`` part."""

    limits = (_NO_DISK, _NO_MEDIA)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def attach_disk(self, name: str, disk: DiskSpec) -> Disk:  # noqa: ARG002 - of the port
        raise NotSupported(f"no disk for '{name}': {_NO_DISK.note}", hint=_HINT)

    def detach_disk(self, name: str, disk: str) -> None:  # noqa: ARG002
        raise NotSupported(f"no disk from '{name}': {_NO_DISK.note}", hint=_HINT)

    def insert_media(self, name: str, image: str, drive: str | None = None) -> str:  # noqa: ARG002
        raise NotSupported(f"no image for '{name}': {_NO_MEDIA.note}", hint=_HINT)

    def eject_media(self, name: str, drive: str | None = None) -> None:  # noqa: ARG002
        raise NotSupported(f"no image from '{name}': {_NO_MEDIA.note}", hint=_HINT)

    def attach_nic(self, name: str, nic: NicSpec) -> str:
        """Connect it to a network; its MAC address there, or the network's name for a stopped
        instance, which has no address before it is started. Raises AlreadyExists, NotFound."""
        checked_nic(name, nic)
        if nic.mac:
            raise InvalidInput(
                f"'{name}' asks for the MAC address {nic.mac}",
                hint="The engine chooses it for networks that are connected later.",
            )
        network = nic.network or DEFAULT_NETWORK
        found = self._connection.find(name)
        there = found["NetworkSettings"]["Networks"]
        if network in there:
            raise AlreadyExists(
                f"'{name}' is connected to '{network}' already", hint="Name another network."
            )
        client = self._connection.client
        with native(f"connect '{name}' to '{network}'"):
            if not any(row["Name"] == network for row in client.networks([network])):
                raise NotFound(
                    f"no network '{network}' on {self._connection.url}",
                    hint="See what there is: docker network ls",
                )
            if NO_NETWORK in there:  # nothing else is allowed beside it
                client.disconnect_container_from_network(found["Id"], NO_NETWORK)
            try:
                client.connect_container_to_network(found["Id"], network)
            except BaseException:
                if NO_NETWORK in there:
                    client.connect_container_to_network(found["Id"], NO_NETWORK)
                raise
            now = client.inspect_container(found["Id"])["NetworkSettings"]["Networks"]
        return str(now[network]["MacAddress"] or network)

    def detach_nic(self, name: str, mac: str) -> None:
        """``mac``: the address, or the name of the network. A stopped container has no addresses:
        when it is connected to one network, that is the one. With the last one it is connected to
        ``none``, so that no start connects it again."""
        found = self._connection.find(name)
        there = found["NetworkSettings"]["Networks"]
        network = next(
            (each for each, end in there.items() if mac in (each, end["MacAddress"])), NO_NETWORK
        )
        if network == NO_NETWORK and len(there) == 1 and not found["State"]["Running"]:
            network = next(iter(there))
        if network == NO_NETWORK:
            raise NotFound(
                f"'{name}' has no NIC {mac}", hint=f"It is connected to: {', '.join(there)}."
            )
        client = self._connection.client
        with native(f"disconnect '{name}' from '{network}'"):
            client.disconnect_container_from_network(found["Id"], network)
            if len(there) == 1:
                client.connect_container_to_network(found["Id"], NO_NETWORK)

    def set_vcpus(self, name: str, count: int) -> None:
        """The limit of processor time. Raises InvalidInput, LimitExceeded."""
        if count < 1:
            raise InvalidInput(f"'{name}' needs at least one processor", hint="Ask for 1 or more.")
        found = self._connection.find(name)
        room = self._room(found, marks.VCPUS_MAXIMUM)
        if room and count > room:
            raise LimitExceeded(
                f"'{name}' was made with room for {room} processors", hint="Ask for fewer."
            )
        check_room(name, count, 0, self._around())
        # The engine refuses to go from the one way of saying it to the other.
        if found["HostConfig"].get("CpuQuota"):
            limits = {
                "CpuQuota": count * _PERIOD_MICROSECONDS,
                "CpuPeriod": _PERIOD_MICROSECONDS,
            }
        else:
            limits = {"NanoCpus": count * translate.NANO}
        self._update(name, found, limits)

    def set_memory(self, name: str, size: int) -> None:
        """Raises HypervisorError for less than is in use and cannot be freed."""
        if size < LEAST_MEMORY:
            raise InvalidInput(f"'{name}' needs at least 6 MiB of memory", hint="Ask for more.")
        found = self._connection.find(name)
        room = self._room(found, marks.MEMORY_MAXIMUM)
        if room and size > room:
            raise LimitExceeded(
                f"'{name}' was made with room for {room} bytes of memory", hint="Ask for less."
            )
        check_room(name, 0, size, self._around())
        self._update(name, found, {"Memory": size, "MemorySwap": size})

    def _room(self, found: Json, label: str) -> int:
        return int((found["Config"]["Labels"] or {}).get(label) or 0)

    def _around(self) -> Surroundings:
        return Surroundings.of(self._connection.facts, self._connection.api)

    def _update(self, name: str, found: Json, limits: dict[str, int]) -> None:
        self._connection.post(
            f"/containers/{found['Id']}/update",
            doing=f"change the limits of '{name}'",
            json=limits,
        )
