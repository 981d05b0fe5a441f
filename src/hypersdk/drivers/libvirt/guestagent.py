"""Speak with the agent inside the guest.

Commands go through ``virDomainQemuAgentCommand``, which has a time limit for each: libvirt's own
calls (``virDomainFSFreeze``, ``virDomainGetGuestInfo``) wait for ever for an agent that hangs,
unless a limit is set for all users of the domain. The commands and their answers:
https://qemu.readthedocs.io/en/latest/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import libvirt
import libvirt_qemu

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.filesystems import agent_connected
from hypersdk.drivers.qemu.agentinfo import guest_info
from hypersdk.model.errors import GuestAgentMissing, HypervisorError, InvalidState
from hypersdk.model.machines import GuestInfo

#: Seconds for an answer. What only looks is answered at once; freezing waits for writes.
ANSWER_SECONDS, FREEZE_SECONDS = 5, 30

_HINT = "Install and start qemu-guest-agent in the guest, and give it an agent channel."


class LibvirtGuestAgent:
    """The ``guest_agent`` part.

    All methods raise InvalidState for an instance that does not run, and GuestAgentMissing: at
    once when no agent has opened its channel, after `ANSWER_SECONDS` when it hangs.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ping(self, name: str) -> None:
        self._ask(self._reached(name), "guest-ping")

    def info(self, name: str) -> GuestInfo:
        """What this agent's version and the guest's administrator do not allow stays empty."""
        domain = self._reached(name)
        return guest_info(lambda command: self._ask(domain, command))

    def freeze(self, name: str, mountpoints: Sequence[str] = ()) -> int:
        """An agent that takes longer than `FREEZE_SECONDS` may have frozen some: thaw then too."""
        domain = self._reached(name)
        if mountpoints:
            return int(
                self._ask(
                    domain,
                    "guest-fsfreeze-freeze-list",
                    seconds=FREEZE_SECONDS,
                    mountpoints=list(mountpoints),
                )
            )
        return int(self._ask(domain, "guest-fsfreeze-freeze", seconds=FREEZE_SECONDS))

    def thaw(self, name: str) -> int:
        domain = self._reached(name)
        return int(self._ask(domain, "guest-fsfreeze-thaw", seconds=FREEZE_SECONDS))

    def _reached(self, name: str) -> libvirt.virDomain:
        """The running domain, whose agent has opened its channel."""
        domain = self._connection.domain(name)
        with native(f"look at '{name}'"):
            if domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
                raise InvalidState(
                    f"'{name}' is not running, so its guest agent cannot answer",
                    hint="Start it first.",
                )
            xml = translate.parsed(domain.XMLDesc())
        if not agent_connected(xml):
            raise GuestAgentMissing(f"no guest agent answers in '{name}'", hint=_HINT)
        return domain

    def _ask(
        self,
        domain: libvirt.virDomain,
        command: str,
        *,
        seconds: int = ANSWER_SECONDS,
        **arguments: object,
    ) -> Any:
        """What the agent returns for a command."""
        text = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
        with native(f"ask the guest agent of '{domain.name()}' for {command}"):
            reply = json.loads(libvirt_qemu.qemuAgentCommand(domain, text, seconds, 0))
        if "return" not in reply:
            raise HypervisorError(
                f"the guest agent of '{domain.name()}' refused {command}: {reply.get('error')}",
                hint="The agent's version or its settings in the guest forbid it.",
            )
        return reply["return"]
