"""Agents of all ages are understood; what one does not offer stays empty."""

from __future__ import annotations

from typing import Any

from hypersdk.drivers.qemu.agentinfo import guest_info
from hypersdk.model.machines import GuestFilesystem, GuestInfo

ANSWERS: dict[str, Any] = {
    "guest-get-osinfo": {"pretty-name": "Debian 12", "name": "Debian", "kernel-release": "6.1"},
    "guest-get-host-name": {"host-name": "web"},
    "guest-network-get-interfaces": [
        {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}, {"ip-address": "::1"}]},
        {"name": "eth0", "ip-addresses": [{"ip-address": "192.0.2.7"}]},
        {"name": "eth1", "ip-addresses": [{"ip-address": "fe80::1%eth1"}]},
        {"name": "eth2"},
    ],
    "guest-get-fsinfo": [
        {"mountpoint": "/", "type": "ext4", "total-bytes": 100, "used-bytes": 40},
        {"mountpoint": "/proc", "type": "proc"},
    ],
}


class Agent:
    """Offers some commands, as the agent of a guest would; others it was told to refuse."""

    def __init__(self, *offered: str, refused: tuple[str, ...] = ()) -> None:
        self._commands = [{"name": name, "enabled": True} for name in offered]
        self._commands += [{"name": name, "enabled": False} for name in refused]
        self.asked: list[str] = []

    def ask(self, command: str) -> Any:
        self.asked.append(command)
        if command == "guest-info":
            return {"version": "7.2", "supported_commands": self._commands}
        return ANSWERS[command]


def test_all_that_it_tells() -> None:
    assert guest_info(Agent(*ANSWERS).ask) == GuestInfo(
        hostname="web",
        os="Debian 12",
        kernel="6.1",
        agent_version="7.2",
        addresses=("192.0.2.7", "fe80::1%eth1"),
        filesystems=(GuestFilesystem("/", "ext4", 100, 40), GuestFilesystem("/proc", "proc", 0, 0)),
    )


def test_what_it_does_not_offer_is_not_asked() -> None:
    agent = Agent("guest-get-host-name", refused=("guest-get-osinfo",))
    assert guest_info(agent.ask) == GuestInfo(hostname="web", agent_version="7.2")
    assert agent.asked == ["guest-info", "guest-get-host-name"]
