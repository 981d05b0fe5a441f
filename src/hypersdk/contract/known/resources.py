"""Networks, pools, volumes and ISO images of libvirt."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked


class KnownNetwork(Answer):
    name: str
    #: ``active`` or ``inactive``.
    state: str
    autostart: bool
    bridge: str
    #: ``nat``, ``route``, ``bridge`` or ``none``.
    forward: str
    ip_start: str
    ip_end: str
    #: ``192.168.100.1/24``: the host's own address in it.
    subnet: str


class NetworksAnswer(Answer):
    networks: list[KnownNetwork]
    total: int


class NewNetworkAsked(Asked):
    name: str = Field(min_length=1)
    bridge: str = ""
    forward: Literal["nat", "route", "bridge", "none"] = "nat"
    #: First and last address given out by DHCP.
    ip_start: str = ""
    ip_end: str = ""
    #: ``192.168.100.0/24``, or the address that the host has in it; /24 unless it says otherwise.
    subnet: str = ""


class NetworkAsked(Asked):
    name: str = Field(min_length=1)


class NetworkDone(Answer):
    status: str = "success"
    message: str
    network: str


class AttachNicAsked(Asked):
    vm_name: str = Field(min_length=1)
    network: str = Field(min_length=1)
    model: str = "virtio"


class DetachNicAsked(Asked):
    vm_name: str = Field(min_length=1)
    mac: str = Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")


class NicDone(Answer):
    status: str = "success"
    message: str
    vm_name: str
    mac: str


class KnownPool(Answer):
    """Bytes."""

    name: str
    uuid: str
    #: ``active`` or ``inactive``.
    state: str
    capacity: int
    available: int
    path: str


class PoolsAnswer(Answer):
    pools: list[KnownPool]
    total: int


class KnownVolume(Answer):
    """Bytes."""

    name: str
    pool: str
    path: str
    #: ``file`` or ``block``.
    type: str
    capacity: int
    allocation: int
    format: str


class VolumesAnswer(Answer):
    volumes: list[KnownVolume]
    total: int
    pool: str


class NewVolumeAsked(Asked):
    pool: str = "default"
    name: str = Field(min_length=1)
    format: Literal["qcow2", "raw"] = "qcow2"
    #: GiB.
    capacity: int = Field(ge=1, le=1 << 26)
    prealloc: bool = False


class VolumeMade(Answer):
    status: str = "success"
    message: str
    pool: str
    name: str
    path: str
    format: str
    capacity: int


class CloneVolumeAsked(Asked):
    pool: str = "default"
    source_volume: str = Field(min_length=1)
    target_volume: str = Field(min_length=1)
    target_pool: str = ""


class VolumeCloned(Answer):
    status: str = "success"
    message: str
    source_volume: str
    target_volume: str
    target_pool: str
    path: str


class ResizeVolumeAsked(Asked):
    pool: str = "default"
    volume: str = Field(min_length=1)
    #: GiB.
    capacity: int = Field(ge=1, le=1 << 26)
    #: Cut off what is behind the new end.
    shrink: bool = False


class VolumeResized(Answer):
    status: str = "success"
    message: str
    pool: str
    volume: str
    new_capacity: int


class VolumeAsked(Asked):
    pool: str = "default"
    volume: str = Field(min_length=1)


class VolumeDone(Answer):
    status: str = "success"
    message: str
    pool: str
    volume: str


class UploadVolumeAsked(Asked):
    """``source_path``: in the daemon's folder of imports."""

    pool: str = "default"
    volume: str = Field(min_length=1)
    source_path: str = Field(min_length=1)
    format: Literal["qcow2", "raw"] = "qcow2"


class VolumeUploaded(Answer):
    status: str = "success"
    message: str
    pool: str
    volume: str
    path: str
    format: str
    #: GiB, rounded up.
    capacity_gb: int
    source: str


WipeAlgorithm = Literal[
    "zero", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7", "pfitzner33", "random", "trim"
]


class WipeVolumeAsked(VolumeAsked):
    algorithm: WipeAlgorithm = "zero"


class VolumeWiped(Answer):
    status: str = "success"
    message: str
    pool: str
    volume: str
    algorithm: str


class Iso(Answer):
    name: str
    path: str
    #: Bytes.
    size: int


class IsosAnswer(Answer):
    isos: list[Iso]
    total: int
    storage_dir: str


class IsoUploaded(Answer):
    status: str = "success"
    message: str
    filename: str
    path: str
    size: int


class IsoAsked(Asked):
    filename: str = Field(min_length=1)


class IsoDone(Answer):
    status: str = "success"
    message: str
    filename: str


class AttachIsoAsked(Asked):
    """``filename`` in the daemon's folder of ISO images, or the same as ``iso_path``."""

    vm_name: str = Field(min_length=1)
    filename: str = ""
    iso_path: str = ""
    #: Its CD drive; empty: the first.
    device: str = ""


class IsoAttached(Answer):
    status: str = "success"
    message: str
    vm_name: str
    iso_path: str
    device: str


class DetachIsoAsked(Asked):
    vm_name: str = Field(min_length=1)
    #: Empty: the first CD drive.
    device: str = ""


class IsoDetached(Answer):
    status: str = "success"
    message: str
    vm_name: str
    device: str
