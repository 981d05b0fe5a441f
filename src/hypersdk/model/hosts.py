"""What runs instances, and how much room it has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInfo:
    """A hypervisor as observed at one moment. Sizes in bytes."""

    #: Its own name, as ``hostname`` says.
    name: str
    #: What runs the instances: ``QEMU``, ``Docker``, ``containerd``, ``mock``.
    product: str
    version: str
    #: ``x86_64``.
    architecture: str
    #: Processors of the host.
    vcpus: int
    memory: int
    #: What new instances could get.
    memory_available: int
    #: Where new disks go; None when it is not known.
    storage_available: int | None
    #: Instances that are not stopped.
    active_instances: int
    #: None: no limit but the host's resources.
    maximum_instances: int | None = None
    #: Of one instance; None: no limit is known.
    maximum_vcpus: int | None = None
    maximum_memory: int | None = None
    #: ``kvm``, ``tcg``, or ``none`` for containers and simulations.
    acceleration: str = "none"
