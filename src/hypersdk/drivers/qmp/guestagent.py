"""Speak with the agent inside the guest, over its own unix socket.

The agent reads lines from a virtio port and answers in lines. What an earlier client asked may be
answered only now, so each conversation begins with a number that the agent repeats
(``guest-sync``); a lock keeps two of ours from talking at once. Commands and answers:
https://qemu.readthedocs.io/en/latest/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.qemu.agentinfo import guest_info
from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.locks import locked, release
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.model.errors import GuestAgentMissing, HypervisorError, InvalidState
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import GuestInfo

#: Seconds for an answer. What only looks is answered at once; freezing waits for writes.
ANSWER_SECONDS, FREEZE_SECONDS = 5.0, 30.0
_HINT = "Install and start qemu-guest-agent in the guest."


class QmpGuestAgent:
    """All methods raise InvalidState for an instance that does not run, and GuestAgentMissing: at
    once when no agent has opened its port, after `ANSWER_SECONDS` when it hangs."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power

    def ping(self, name: str) -> None:
        with self._reached(name) as agent:
            agent.ask("guest-ping")

    def info(self, name: str) -> GuestInfo:
        """What this agent's version and the guest's administrator do not allow stays empty."""
        with self._reached(name) as agent:
            return guest_info(agent.ask)

    def freeze(self, name: str, mountpoints: Sequence[str] = ()) -> int:
        """An agent that takes longer than `FREEZE_SECONDS` may have frozen some: thaw then too."""
        with self._reached(name) as agent:
            if mountpoints:
                given = {"mountpoints": list(mountpoints)}
                return int(agent.ask("guest-fsfreeze-freeze-list", given, FREEZE_SECONDS))
            return int(agent.ask("guest-fsfreeze-freeze", seconds=FREEZE_SECONDS))

    def thaw(self, name: str) -> int:
        with self._reached(name) as agent:
            return int(agent.ask("guest-fsfreeze-thaw", seconds=FREEZE_SECONDS))

    @contextmanager
    def _reached(self, name: str) -> Iterator[_Agent]:
        folder = self._root.find(name)
        title = folder.definition().name
        if self._power.state(folder, title) is not InstanceState.RUNNING:
            raise InvalidState(
                f"'{title}' is not running, so its guest agent cannot answer",
                hint="Start it first.",
            )
        self._refuse_closed_port(folder, title)
        with native(f"ask the guest agent of '{title}'"):
            lock = locked(folder.path / "agent", f"ask the guest agent of '{title}'", 30)
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(str(folder.run / "agent"))
                    agent = _Agent(connection, title)
                    agent.synchronise()
                    yield agent
            finally:
                release(lock)

    def _refuse_closed_port(self, folder: InstanceFolder, title: str) -> None:
        with self._power.session(folder, title) as session:
            found = {
                each["label"]: each["frontend-open"] for each in session.execute("query-chardev")
            }
        if not found["agent"]:
            raise GuestAgentMissing(f"no guest agent answers in '{title}'", hint=_HINT)


class _Agent:
    """One conversation."""

    def __init__(self, connection: socket.socket, title: str) -> None:
        self._connection = connection
        self._connection.settimeout(WAIT_SLICE)
        self._title = title
        self._received = b""

    def synchronise(self) -> None:
        """Answers to what others asked are read and forgotten."""
        number = int.from_bytes(os.urandom(4), "big")
        deadline = time.monotonic() + ANSWER_SECONDS
        self._send("guest-sync", {"id": number})
        while self._answer(deadline).get("return") != number:
            pass

    def ask(
        self, command: str, arguments: dict[str, Any] | None = None, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """What the agent returns."""
        self._send(command, arguments or {})
        reply = self._answer(time.monotonic() + seconds)
        if "return" not in reply:
            said = reply.get("error", {}).get("desc", "nothing")
            raise HypervisorError(
                f"the guest agent of '{self._title}' refused {command}: {said}",
                hint="The agent's version or its settings in the guest forbid it.",
            )
        return reply["return"]

    def _send(self, command: str, arguments: dict[str, Any]) -> None:
        line = json.dumps({"execute": command, "arguments": arguments}) + "\n"
        self._connection.sendall(line.encode())

    def _answer(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            token_in_force().check()
            if time.monotonic() > deadline:
                raise GuestAgentMissing(
                    f"the guest agent of '{self._title}' does not answer", hint=_HINT
                )
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise GuestAgentMissing(f"the guest agent of '{self._title}' left", hint=_HINT)
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        try:
            found = json.loads(line.lstrip(b"\xff"))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
