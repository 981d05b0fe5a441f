"""The lab keeps what it promises."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest

from tests.components import require
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, Guest, GuestFailed, domain_xml, qemu_io
from tests.kvm.fixtures import Lab, clean_lab

NETWORK = "<network><name>lab</name><bridge name='{}'/><dns enable='no'/></network>"


def until(true: Callable[[], object], seconds: float = 10) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def holds(image: Path | str, *areas: str) -> None:
    """Compare areas of an image (``-P 0x41 0 1M``) with a pattern."""
    reads = [word for area in areas for word in ("-c", f"read -q {area}")]
    subprocess.run(["qemu-io", *reads, image], check=True)


def test_a_guest_runs_commands(guest: Guest) -> None:
    assert guest.run("echo hello; uname -s") == "hello\nLinux\n"
    assert len(guest.run("seq 20000").splitlines()) == 20000
    with pytest.raises(GuestFailed, match="status 3:\nsorry"):
        guest.run("echo sorry; exit 3")
    with pytest.raises(GuestFailed, match="no 'LAB DONE"):
        guest.run("echo slow; sleep 1", timeout=0.5)
    assert guest.run("echo again") == "again\n"


def test_writes_reach_the_image(guest: Guest, lab: Lab) -> None:
    guest.write("vda", 512, b"hello\0\x80'")
    guest.write("vda", 1 << 20, 0x41, 1 << 20)
    guest.qemu_io("vda", "write -P 0x42 3M 64k", "write -P 0x43 4M 64k", "discard 4M 64k", "flush")
    assert guest.run("dd if=/dev/vda bs=8 skip=64 count=1 2>/dev/null | xxd -p").strip() == (
        b"hello\0\x80'".hex()
    )
    guest.destroy()
    image = lab.folder / "guest.qcow2"
    holds(image, "-P 0x41 1M 1M", "-P 0x42 3M 64k", "-P 0 4M 64k")
    with pytest.raises(subprocess.CalledProcessError):
        holds(image, "-P 0x41 2M 1M")


def test_a_bad_write_is_an_error(lab: Lab) -> None:
    disk = DiskSpec(lab.image("small.qcow2", "1M"))
    guest = lab.connection.createXML(domain_xml("small", [disk]))
    with pytest.raises(AssertionError, match="has no disk vdb"):
        qemu_io(guest, "vdb", "flush")


def test_the_agent_freezes_a_file_system(lab: Lab) -> None:
    require("mkfs.ext4")
    (lab.folder / "content").mkdir()
    (lab.folder / "content/greeting").write_text("hello\n")
    image = lab.image("data.raw", "32M", format="raw")
    subprocess.run(["mkfs.ext4", "-q", "-d", lab.folder / "content", image], check=True)
    disk = DiskSpec(image, format="raw")
    xml = domain_xml("frozen", [disk], system=lab.system, options="mount=vda:/data")
    guest = Guest.start(lab.connection, xml)
    assert guest.run("cat /data/greeting") == "hello\n"
    assert libvirt_qemu.qemuAgentCommand(guest.domain, '{"execute":"guest-ping"}', 5, 0)
    assert [system[0] for system in guest.domain.fsInfo()] == ["/data"]

    assert guest.domain.fsFreeze() == 1
    guest.run("{ echo late >/data/late; touch /tmp/written; } &")
    guest.run("sleep 0.3; ! test -e /tmp/written")
    assert guest.domain.fsThaw() == 1
    until(lambda: guest.run("ls /tmp") == "written\n")
    guest.close()


@pytest.mark.parametrize("agent", [True, False])
def test_a_guest_shuts_down(lab: Lab, agent: bool) -> None:
    guest = Guest.start(lab.connection, domain_xml("down", system=lab.system, agent=agent))
    button = libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
    try:
        guest.domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT if agent else button)
    except libvirt.libvirtError as error:  # it obeyed before it could answer
        if "End of file from agent socket" not in str(error):
            raise
    until(lambda: not guest.domain.isActive())
    with pytest.raises(GuestFailed, match="the domain has ended"):
        guest.run("true")
    guest.close()


def test_a_guest_ignores_the_power_button(lab: Lab) -> None:
    xml = domain_xml("stubborn", system=lab.system, options="ignore-acpi", agent=False)
    guest = Guest.start(lab.connection, xml)
    guest.domain.shutdown()
    time.sleep(1)
    assert guest.run("echo still here") == "still here\n"
    guest.close()


def test_domains_survive_the_daemon(lab: Lab) -> None:
    domain = lab.connection.createXML(domain_xml("survivor"))
    pid = lab.libvirtd.qemu_pid("survivor")
    lab.libvirtd.kill()
    assert not any(command.startswith("libvirtd") for command in lab.libvirtd.processes().values())
    assert lab.libvirtd.qemu_pid("survivor") == pid
    lab.libvirtd.restart()
    connection = lab.libvirtd.open()
    assert connection.lookupByName("survivor").UUID() == domain.UUID()
    connection.lookupByName("survivor").destroy()
    connection.close()


def test_what_a_test_leaves_behind_is_reported(libvirtd: Libvirtd) -> None:
    def leave() -> None:
        with clean_lab(libvirtd, patience=0) as lab:
            listener.bind(str(lab.folder / "forgotten"))

    with socket.socket(socket.AF_UNIX) as listener, pytest.raises(AssertionError) as caught:
        leave()
    assert "the test left behind:\nimages/t/forgotten" in str(caught.value)


@pytest.mark.parametrize("killed", [False, True])
def test_nothing_stays_behind(killed: bool) -> None:
    daemon = Libvirtd()
    bridge = f"lab{os.getpid()}"
    connection = daemon.open()
    connection.createXML(domain_xml("last"))
    connection.networkCreateXML(NETWORK.format(bridge))
    connection.close()
    assert Path("/sys/class/net", bridge).exists()
    processes = daemon.processes()
    assert len(processes) >= 4
    if killed:
        daemon.kill()
    daemon.close()
    daemon.close()
    assert_gone(daemon.folder, list(processes))
    assert not Path("/sys/class/net", bridge).exists()


def test_the_lab_dies_with_us() -> None:
    program = (
        "from tests.kvm.daemon import Libvirtd\n"
        "from tests.kvm.domains import domain_xml\n"
        "daemon = Libvirtd()\n"
        "daemon.open().createXML(domain_xml('last'))\n"
        "print(daemon.folder, *daemon.processes(), flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as we:
        assert we.stdout is not None
        folder, *pids = we.stdout.readline().split()
        assert len(pids) >= 4
        we.send_signal(signal.SIGKILL)
    until(lambda: not Path(folder).exists())
    assert_gone(Path(folder), [int(pid) for pid in pids])


def assert_gone(folder: Path, pids: list[int]) -> None:
    assert not folder.exists()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()


def test_live_migration(lab: Lab) -> None:
    with Libvirtd() as elsewhere:
        disk = DiskSpec(lab.image("moving.qcow2"))
        guest = Guest.start(lab.connection, domain_xml("moving", [disk], system=lab.system))
        guest.run("echo carried >/tmp/note")
        guest.write("vda", 0, 0x41, 65536)
        target = elsewhere.open()
        flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE
        moved = guest.domain.migrate3(
            target, {libvirt.VIR_MIGRATE_PARAM_URI: "tcp://127.0.0.1"}, flags
        )
        guest.close()
        assert not guest.domain.isActive()

        guest = Guest(moved)
        guest.wait_ready()
        assert guest.run("cat /tmp/note") == "carried\n"
        guest.write("vda", 65536, 0x42, 65536)
        guest.destroy()
        holds(disk.path, "-P 0x41 0 64k", "-P 0x42 64k 64k")
        target.close()
