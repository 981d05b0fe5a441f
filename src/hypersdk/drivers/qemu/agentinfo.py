"""What QEMU's guest agent tells about its guest.

Commands and answers: https://qemu.readthedocs.io/en/latest/interop/qemu-ga-ref.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

from hypersdk.model.machines import GuestFilesystem, GuestInfo


def guest_info(ask: Callable[[str], Any]) -> GuestInfo:
    """Put together from the answers to several commands; ``ask`` returns what the agent does.

    What this agent's version and the guest's administrator do not allow stays empty.
    """
    about = ask("guest-info")
    known = {each["name"] for each in about["supported_commands"] if each["enabled"]}

    def answer(command: str, otherwise: Any) -> Any:
        return ask(command) if command in known else otherwise

    system = answer("guest-get-osinfo", {})
    return GuestInfo(
        hostname=answer("guest-get-host-name", {}).get("host-name", ""),
        os=system.get("pretty-name") or system.get("name", ""),
        kernel=system.get("kernel-release", ""),
        agent_version=about["version"],
        addresses=_addresses(answer("guest-network-get-interfaces", [])),
        filesystems=_filesystems(answer("guest-get-fsinfo", [])),
    )


def _addresses(interfaces: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    found = (
        address["ip-address"]
        for interface in interfaces
        for address in interface.get("ip-addresses", ())
    )
    # The zone (fe80::1%eth0) is no part of the address.
    return tuple(a for a in found if not ip_address(a.partition("%")[0]).is_loopback)


def _filesystems(filesystems: Sequence[dict[str, Any]]) -> tuple[GuestFilesystem, ...]:
    """Sizes are 0 where the agent does not tell them: without a disk behind, or before 2.12."""
    return tuple(
        GuestFilesystem(
            filesystem["mountpoint"],
            filesystem["type"],
            filesystem.get("total-bytes", 0),
            filesystem.get("used-bytes", 0),
        )
        for filesystem in filesystems
    )
