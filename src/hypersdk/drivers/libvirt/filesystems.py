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

#: Seconds an agent may take to freeze. A database that flushes takes some; one that never answers
#: would hang the backup.
FREEZE_SECONDS = 30
_THAW_ATTEMPTS = 3
_AGENT = "devices/channel/target[@name='org.qemu.guest_agent.0']"


@dataclass(slots=True)
class Freeze:
    """What was reached."""

    #: Filesystems that were frozen.
    count: int = 0
    #: Why none was, though an agent is there.
    problem: str = ""


def agent_connected(xml: Element) -> bool:
    """Whether the guest's agent has opened its channel; libvirt tells only while it runs."""
    target = xml.find(_AGENT)
    return target is not None and target.get("state") == "connected"


@contextlib.contextmanager
def frozen(domain: libvirt.virDomain, xml: Element, work: Workplace) -> Iterator[Freeze]:
    """Freeze for the block, when an agent answers. The record is written before, so that a run
    which is killed in between is thawed by its cleaner.

    Raises HypervisorError when thawing failed: a person has to look at that guest.
    """
    freeze = Freeze()
    if not agent_connected(xml):
        yield freeze
        return
    work.note(frozen=True)
    try:
        _freeze(domain, freeze)
        yield freeze
    finally:
        _thaw(domain)
        work.note(frozen=False)


def _freeze(domain: libvirt.virDomain, freeze: Freeze) -> None:
    default = libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_DEFAULT
    try:
        domain.agentSetResponseTimeout(FREEZE_SECONDS)
        freeze.count = domain.fsFreeze()
    except libvirt.libvirtError as error:
        freeze.problem = complaint(error)
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            domain.agentSetResponseTimeout(default)


def _thaw(domain: libvirt.virDomain) -> None:
    """Also after a freeze that failed: it may have frozen some. Thawing twice is no error."""
    for attempt in range(_THAW_ATTEMPTS):
        try:
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
