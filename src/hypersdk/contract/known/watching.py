"""What domains use, and their consoles."""

from __future__ import annotations

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment
from hypersdk.contract.known.base import OPTIONAL


class CpuStats(Answer):
    """Nanoseconds since it was started. ``usage_percent``: of one processor, over the time since
    the last look of this daemon at it; 0 at the first."""

    vcpus: int
    cpu_time_ns: int
    user_time_ns: int
    system_time_ns: int
    usage_percent: float


class MemoryStats(Answer):
    """KiB. ``used``: what the host holds in memory for it."""

    total_kb: int
    used_kb: int
    available_kb: int
    usage_percent: float
    swap_in_kb: int
    swap_out_kb: int


class DiskStats(Answer):
    device: str
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int
    errors: int


class NetStats(Answer):
    """``rx_errors``: errors and drops of both directions, which hypervisors tell as one."""

    interface: str
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class DomainStats(Answer):
    name: str
    state: str
    cpu: CpuStats
    memory: MemoryStats
    disks: list[DiskStats]
    networks: list[NetStats]
    timestamp: Moment


class AllStats(Answer):
    """Of all running domains."""

    domains: list[DomainStats]
    total: int
    timestamp: Moment


class CpuAnswer(Answer):
    name: str
    cpu_stats: CpuStats
    timestamp: Moment


class MemoryAnswer(Answer):
    name: str
    memory: MemoryStats
    timestamp: Moment


class DisksAnswer(Answer):
    name: str
    disks: list[DiskStats]
    timestamp: Moment


class NetsAnswer(Answer):
    name: str
    networks: list[NetStats]
    timestamp: Moment


class ConsoleAnswer(Answer):
    domain: str
    #: ``127.0.0.1:3``, as vncviewer takes it; empty for a screen behind a socket.
    vnc_display: str
    #: Where the daemon shows it, as a WebSocket.
    vnc_url: str


class ConsoleInfo(Answer):
    vm_name: str
    vnc_display: str
    vnc_port: int
    vnc_url: str
    #: A WebSocket of this daemon, with the bytes of the VNC protocol.
    webvnc_url: str
    has_vnc: bool
    has_spice: bool
    has_serial: bool
    #: A WebSocket of this daemon.
    serial_device: str | None = OPTIONAL


class SerialDevice(Answer):
    vm_name: str
    #: A WebSocket of this daemon; empty when there is none.
    device: str
    has_serial: bool


class SendKeysAsked(Asked):
    """Pressed at once: ``["KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE"]`` or ``["ctrl", "alt",
    "delete"]``."""

    name: str = Field(min_length=1)
    keys: list[str] = Field(min_length=1, max_length=16)
