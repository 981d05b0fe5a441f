"""Virtual machines of any hypervisor, as ``/vms`` names them."""

from __future__ import annotations

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment


class KnownVm(Answer):
    name: str
    path: str
    #: ``poweredOn``, ``poweredOff``, ``suspended`` or ``unknown``.
    power_state: str
    guest_os: str
    memory_mb: int
    num_cpu: int
    storage_bytes: int


class VmsAnswer(Answer):
    vms: list[KnownVm]
    total: int
    timestamp: Moment


class VmAsked(Asked):
    """One machine, by name or inventory path."""

    vm_path: str = Field(min_length=1)
    #: Seconds that its guest has to shut down.
    timeout: int = Field(default=300, ge=1, le=3600)


class VmInfoAnswer(Answer):
    success: bool = True
    vm_info: KnownVm
    timestamp: Moment
