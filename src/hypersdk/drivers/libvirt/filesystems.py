"""Freeze the guest's filesystems for one call, and thaw them whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt.errors import complaint
from hypersdk.drivers.libvirt.workplace import Workplace
from hypersdk.model.errors import HypervisorError

#: Seconds an agent may take to answer at all, and to freeze. A database that flushes takes some;
#: one that never answers would hang the backup.
ANSWER_SECONDS, FREEZE_SECONDS = 5, 30
#: Seconds it may take to thaw, and how often it is asked.
_THAW_SECONDS, _THAW_ATTEMPTS = 10, 3
#: What libvirt has at first; it does not tell what it has now.
_USUAL_TIMEOUT = libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK
#: No answer came. Any other error is one.
_SILENT = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED)
_AGENT = "devices/channel/target[@name='org.qemu.guest_agent.0']"


@dataclass(slots=True)
class Freeze:
    """What was reached."""

    #: Filesystems that were frozen.
    count: int = 0
    #: Why none was, though an agent is there.
    problem: str = ""
    #: Whether some may be frozen now.
    begun: bool = False


def agent_connected(xml: Element) -> bool:
    """Whether the guest's agent has opened its channel; libvirt tells only while it runs."""
    target = xml.find(_AGENT)
    return target is not None and target.get("state") == "connected"


@contextlib.contextmanager
def frozen(domain: libvirt.virDomain, xml: Element, work: Workplace) -> Iterator[Freeze]:
    """Freeze for the block, when an agent answers. The record is written before, so that a run
    which is killed in between is thawed by its cleaner.

    An agent that hangs is asked first and told to freeze only when it answers: the order would
    wait in its channel, and freeze the guest whenever the agent goes on, with nobody to thaw it.

    Raises HypervisorError when thawing failed: a person has to look at that guest.
    """
    freeze = Freeze()
    if not agent_connected(xml):
        yield freeze
        return
    with _patience(domain, ANSWER_SECONDS):
        freeze.problem = _silence(domain)
    if freeze.problem:
        yield freeze
        return
    work.note(frozen=True)
    try:
        with _patience(domain, FREEZE_SECONDS):
            _freeze(domain, freeze)
        yield freeze
    finally:
        if freeze.begun:
            thaw(domain)
        work.note(frozen=False)


@contextlib.contextmanager
def _patience(domain: libvirt.virDomain, seconds: int) -> Iterator[None]:
    """How long libvirt waits for the agent inside the block: otherwise for ever."""
    with contextlib.suppress(libvirt.libvirtError):  # what follows says why
        domain.agentSetResponseTimeout(seconds)
    try:
        yield
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            domain.agentSetResponseTimeout(_USUAL_TIMEOUT)


def _silence(domain: libvirt.virDomain) -> str:
    """Why the agent does not answer; empty when it does, be it with an error."""
    try:
        domain.getTime()
    except libvirt.libvirtError as error:
        return complaint(error) if error.get_error_code() in _SILENT else ""
    return ""


def _freeze(domain: libvirt.virDomain, freeze: Freeze) -> None:
    freeze.begun = True
    try:
        freeze.count = domain.fsFreeze()
    except libvirt.libvirtError as error:
        freeze.problem = complaint(error)
        # An agent that says no has frozen nothing, or thawed what it had: whatever is frozen then
        # was frozen by another program.
        freeze.begun = error.get_error_code() in _SILENT


def thaw(domain: libvirt.virDomain) -> None:
    """Thawing twice is no error. Raises HypervisorError."""
    for attempt in range(_THAW_ATTEMPTS):
        try:
            with _patience(domain, _THAW_SECONDS):
                domain.fsThaw()
        except libvirt.libvirtError as error:
            if not domain.isActive():
                return  # switched off: nothing is frozen any more
            if attempt == _THAW_ATTEMPTS - 1:
                raise HypervisorError(
                    f"the filesystems of '{domain.name()}' may still be frozen: {complaint(error)}",
                    hint=f"Thaw them now: virsh domfsthaw {domain.name()}",
                ) from error
        else:
            return
