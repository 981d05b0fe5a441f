"""The configuration of a container, from its description, to make it anew from another image."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from hypersdk.drivers.docker import marks, translate
from hypersdk.drivers.docker.connection import Connection, Json

#: Networks that are no endpoints of their own: the mode of the container says it all.
_MODES = ("none", "host")


def configuration(
    found: Json,
    image: str,
    labels: Mapping[str, str],
    *,
    volumes: Mapping[str, str] | None = None,
) -> Json:
    """What to send. ``found``: as ``inspect`` described it; ``labels``: in place of those that it
    has of ours; ``volumes``: those that are called otherwise now.

    Every volume is named, also those that the engine had made for the container, so that the new
    container has them all. Networks are not in it: see `connect`.
    """
    config: Json = deepcopy(found["Config"])
    if config.get("Hostname") == found["Id"][:12]:
        config.pop("Hostname")  # the engine's choice, and it will choose again
    config["Image"] = image
    config["Labels"] = {**(config["Labels"] or {}), **labels}
    config["Volumes"] = {}
    host = deepcopy(found["HostConfig"])
    host["Binds"] = [bind for bind in host.get("Binds") or () if bind.startswith("/")]
    host["Mounts"] = _mounts(found, host, volumes or {})
    host["VolumesFrom"] = None
    host.pop("ContainerIDFile", None)
    config["HostConfig"] = host
    return config


def labels_of(found: Json) -> dict[str, str]:
    """That keep an instance what it is: its identity, and what it was made from."""
    old = found["Config"]["Labels"] or {}
    return {
        marks.IDENTITY: translate.identity(found),
        marks.IMAGE: old.get(marks.IMAGE) or found["Config"]["Image"],
    }


def connect(
    connection: Connection, container: str, found: Json, names: Mapping[str, str] | None = None
) -> None:
    """Connect a container that was made anew to the networks that ``found`` was connected to.
    ``names``: networks that are called otherwise now. In a ``native`` block."""
    client = connection.client
    new = client.inspect_container(container)
    present = set(new["NetworkSettings"]["Networks"])
    wanted = endpoints(found, names or {})
    if not wanted:
        return
    for network in present - set(wanted):
        client.disconnect_container_from_network(container, network)
    for network, endpoint in wanted.items():
        if network in present and endpoint:
            client.disconnect_container_from_network(container, network)
        if network not in present or endpoint:
            connection.post(
                f"/networks/{network}/connect",
                doing=f"connect '{found['Name'].removeprefix('/')}' to '{network}'",
                json={"Container": container, "EndpointConfig": endpoint},
            )


def endpoints(found: Json, names: Mapping[str, str]) -> dict[str, Json]:
    """Network → what was asked for there: addresses, aliases. Without what the engine chose."""
    own = {found["Id"][:12], found["Name"].removeprefix("/")}
    wanted: dict[str, Json] = {}
    for network, endpoint in (found["NetworkSettings"]["Networks"] or {}).items():
        if network in _MODES:
            continue
        aliases = [alias for alias in endpoint.get("Aliases") or () if alias not in own]
        asked = {
            "IPAMConfig": endpoint.get("IPAMConfig") or None,
            "Links": endpoint.get("Links") or None,
            "DriverOpts": endpoint.get("DriverOpts") or None,
            "Aliases": aliases or None,
        }
        wanted[names.get(network, network)] = {key: each for key, each in asked.items() if each}
    return wanted


def _mounts(found: Json, host: Json, volumes: Mapping[str, str]) -> list[Json]:
    mounts: list[Json] = [each for each in host.get("Mounts") or () if each["Type"] != "volume"]
    named = {each["Target"] for each in mounts}
    named |= {bind.split(":")[1] for bind in host["Binds"]}
    for mount in found["Mounts"]:
        target = mount["Destination"]
        if target in named or mount["Type"] not in ("volume", "bind"):
            continue
        new: Json = {"Type": mount["Type"], "Target": target, "ReadOnly": not mount["RW"]}
        if mount["Type"] == "volume":
            new["Source"] = volumes.get(mount["Name"], mount["Name"])
            # It has its content; the image's must not be copied into an empty one.
            new["VolumeOptions"] = {"NoCopy": True}
        else:
            new["Source"] = mount["Source"]
        mounts.append(new)
    return mounts
