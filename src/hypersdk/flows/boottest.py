"""Boot a restore point in isolation, to see that it boots, and how long a recovery takes.

The instance is restored under a name of its own, without any network, started, watched until it
gives the sign that was asked for, and removed again whatever happens.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import Placement, Provisioning
from hypersdk.drivers.ports import Console, Hypervisor, Lifecycle
from hypersdk.flows.provision import ProvisionOptions, restore_instance
from hypersdk.model.errors import (
    GuestAgentMissing,
    HyperSDKError,
    HypervisorError,
    InvalidInput,
    InvalidState,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.points import RestorePoint
from hypersdk.model.progress import Reporter, silent
from hypersdk.repository.repository import Repository

#: Seconds between two looks.
_LOOK = 0.5
#: Share of a screen that a text cursor may take.
_CURSOR = 0.001
_PNG = b"\x89PNG\r\n\x1a\n"
#: Characters of the serial line that are kept and shown.
_TRANSCRIPT = 64 << 10


class Sign(Enum):
    """By what a guest shows that it has booted."""

    #: A text on its first serial line.
    SERIAL = "serial"
    #: Its agent answers.
    AGENT = "agent"
    #: Its screen changes twice, by more than a cursor. Weak: firmware that finds nothing to boot
    #: says so on the screen as well. Look at the screenshot.
    SCREEN = "screen"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootTestOptions:
    """What to wait for."""

    sign: Sign = Sign.AGENT
    #: For `Sign.SERIAL`: the text.
    text: str = ""
    #: Seconds from power-on.
    timeout: float = 300.0
    #: Where the disks are put meanwhile.
    placement: Placement = field(default_factory=Placement)
    #: Leave the instance running, to look at it.
    keep: bool = False


@dataclass(frozen=True, slots=True)
class BootTest:
    """What it showed. Seconds."""

    instance: str
    sign: Sign
    #: From the beginning of the restore until the sign: the recovery time of this point.
    rto: float
    restore_seconds: float
    boot_seconds: float
    #: The last screen as PNG; empty when the hypervisor shows none.
    screenshot: bytes = field(default=b"", repr=False)
    #: What the guest wrote on its serial line.
    serial: str = field(default="", repr=False)


def boot_test(
    repository: Repository,
    point: RestorePoint,
    hypervisor: Hypervisor,
    *,
    options: BootTestOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> BootTest:
    """Restore, boot, wait for the sign, remove.

    Raises OperationTimeout when the sign does not come in time, with the end of what the guest
    wrote on its serial line; and what `restore_instance` raises.
    """
    options = options or BootTestOptions()
    _check(options)
    token = cancel or CancelToken()
    lifecycle, console, provisioning = _parts(hypervisor)
    name = options.placement.name or f"{point.instance}-test-{secrets.token_hex(3)}"
    placement = replace(options.placement, name=name, new_macs=True, isolated=True)
    began = time.monotonic()
    provision = ProvisionOptions(placement=placement)
    with contextlib.ExitStack() as after:
        made = restore_instance(
            repository, point, hypervisor, options=provision, reporter=reporter, cancel=token
        )
        if not options.keep:
            after.callback(provisioning.discard, name, [str(disk.path) for disk in made.disks])
        restored = time.monotonic()
        lifecycle.start(name, paused=True)  # so that nothing on its serial line is missed
        watch = Watch(hypervisor, console, name, options)
        with watch:
            lifecycle.resume(name)
            watch.wait(token)
        now = time.monotonic()
        return BootTest(
            instance=name,
            sign=options.sign,
            rto=now - began,
            restore_seconds=restored - began,
            boot_seconds=now - restored,
            screenshot=watch.screenshot(),
            serial=watch.transcript,
        )


def _check(options: BootTestOptions) -> None:
    if options.sign is Sign.SERIAL and not options.text:
        raise InvalidInput("it was not said which text on the serial line to wait for")
    if options.placement.overwrite:
        raise InvalidInput("a boot test replaces nothing")


def _parts(hypervisor: Hypervisor) -> tuple[Lifecycle, Console, Provisioning]:
    lifecycle, console, provisioning = (
        hypervisor.lifecycle,
        hypervisor.console,
        hypervisor.provisioning,
    )
    if lifecycle is None or console is None or provisioning is None:
        raise HypervisorError(f"{hypervisor.url} cannot build instances, boot and watch them")
    return lifecycle, console, provisioning


class Watch:
    """Looks at one booting guest."""

    def __init__(
        self, hypervisor: Hypervisor, console: Console, name: str, options: BootTestOptions
    ) -> None:
        self._inventory = hypervisor.inventory
        self._agent = hypervisor.guest_agent
        self._console = console
        self._name = name
        self._options = options
        self._open = contextlib.ExitStack()
        self.transcript = ""
        self._read: Callable[[float], bytes] | None = None
        self._screens: list[bytes] = []

    def __enter__(self) -> Self:
        with contextlib.suppress(HyperSDKError):  # a guest without a serial line has other signs
            self._read = self._open.enter_context(self._console.serial(self._name)).read
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def wait(self, token: CancelToken) -> None:
        """Raises OperationTimeout, and HypervisorError for a guest that ended."""
        ends = time.monotonic() + self._options.timeout
        while not self._seen():
            token.check()
            if self._ended():
                raise HypervisorError(
                    f"'{self._name}' is not running any more and gave no sign "
                    f"({self._options.sign.value})",
                    hint=self._last_words(),
                )
            if time.monotonic() > ends:
                raise OperationTimeout(
                    f"'{self._name}' gave no sign ({self._options.sign.value}) within "
                    f"{self._options.timeout:g} s",
                    hint=self._last_words(),
                )
            self._listen()

    def _ended(self) -> bool:
        """A guest that crashes or switches itself off gives no sign any more."""
        over = (InstanceState.STOPPED, InstanceState.CRASHED)
        return self._inventory is not None and (self._inventory.instance(self._name).state in over)

    def _seen(self) -> bool:
        match self._options.sign:
            case Sign.SERIAL:
                return self._options.text in self.transcript
            case Sign.AGENT:
                return self._answers()
            case Sign.SCREEN:
                return self._moved()

    def _listen(self) -> None:
        if self._read is None:
            time.sleep(_LOOK)
            return
        try:
            heard = self._read(_LOOK)
        except HyperSDKError:  # the guest reset its line, or is gone: the other signs tell
            self._read = None
            return
        self.transcript = (self.transcript + heard.decode(errors="replace"))[-_TRANSCRIPT:]

    def _answers(self) -> bool:
        if self._agent is None:
            raise HypervisorError("this hypervisor cannot ask guest agents")
        try:
            self._agent.ping(self._name)
        except (GuestAgentMissing, InvalidState):  # it does not run any more: `wait` says so
            return False
        return True

    def _moved(self) -> bool:
        """Three different screens: black, the firmware's, and what comes after it."""
        screen = self.screenshot()
        if screen and all(_differ(screen, other) for other in self._screens):
            self._screens.append(screen)
        return len(self._screens) > 2

    def screenshot(self) -> bytes:
        """Empty when there is no screen."""
        try:
            return self._console.screenshot(self._name)
        except HyperSDKError:
            return b""

    def _last_words(self) -> str:
        lines = self.transcript.strip().splitlines()[-5:]
        if not lines:
            return "It wrote nothing on its serial line."
        return "\n".join(("The last it wrote on its serial line:", *_indented(lines)))


def _differ(one: bytes, other: bytes) -> bool:
    """Whether two PNGs show more of a difference than a cursor that blinks."""
    a, b = _pixels(one), _pixels(other)
    if len(a) != len(b):
        return True
    different = sum(x != y for x, y in zip(a, b, strict=True))
    return different > len(a) * _CURSOR


def _pixels(png: bytes) -> bytes:
    """Its scan lines, unpacked but still filtered, which is enough to compare."""
    packed, at = b"", len(_PNG)
    while at + 8 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12  # with length, kind and checksum
    return zlib.decompress(packed) if packed else b""


def _indented(lines: list[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)
