from __future__ import annotations

import threading
import time

import libvirt
import pytest

from hypersdk.drivers.libvirt.console import LibvirtConsole
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.serial import LibvirtSerialStream
from hypersdk.model.errors import HypervisorError
from tests.drivers.libvirt.places import hypervisor, place  # noqa: F401
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def console(hypervisor: LibvirtHypervisor) -> LibvirtConsole:  # noqa: F811
    assert hypervisor.console is not None
    return hypervisor.console


@pytest.fixture(scope="module")
def halted(place: Lab) -> libvirt.virDomain:  # noqa: F811
    """A machine whose processors never run: its line is silent."""
    domain = place.connection.defineXML(domain_xml("halted"))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    return domain


def read_until(line: LibvirtSerialStream, mark: bytes, seconds: float = 60) -> bytes:
    received, deadline = b"", time.monotonic() + seconds
    while mark not in received:
        assert time.monotonic() < deadline, received
        received += line.read(1)
    return received


def test_conversation_with_a_guest_from_its_first_byte(
    console: LibvirtConsole,
    place: Lab,  # noqa: F811
) -> None:
    domain = place.connection.defineXML(domain_xml("talks", system=place.system))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    with console.serial("talks") as line:
        assert line.read(0.2) == b""
        domain.resume()
        assert read_until(line, b"LAB READY\n").count(b"LAB READY") == 1
        line.write(b"1 echo hello\n")
        assert b"LAB BEGIN 1\nhello\n" in read_until(line, b"LAB DONE 1 0\n")
        # Much at once, and nobody reads for a while: nothing is lost.
        line.write(b"2 yes | head -c 100000\n")
        time.sleep(1)
        assert read_until(line, b"LAB DONE 2 0\n").count(b"y\n") == 50000
    # Let go: somebody else can have it.
    with console.serial("talks") as line:
        line.write(b"3 poweroff -f\n")
        with pytest.raises(HypervisorError, match="the serial line of 'talks' is closed"):
            read_until(line, b"never")
        with pytest.raises(HypervisorError, match="is closed"):
            line.write(b"x")


def test_the_last_one_has_it(console: LibvirtConsole, halted: libvirt.virDomain) -> None:
    with console.serial("halted") as first:
        assert first.read(0) == b""
        with console.serial("halted") as second:
            with pytest.raises(HypervisorError, match="the serial line of 'halted' is closed"):
                first.read(5)
            assert second.read(0.1) == b""


def test_close_ends_a_read_in_another_thread(
    console: LibvirtConsole, halted: libvirt.virDomain
) -> None:
    line = console.serial("halted")
    said: list[str] = []

    def read() -> None:
        try:
            line.read(30)
        except HypervisorError as error:
            said.append(error.message)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.2)
    line.close()
    thread.join(2)
    assert said == ["the serial line of 'halted' is closed: it was closed here"]
    line.close()


def test_lost_connection(
    hypervisor: LibvirtHypervisor,  # noqa: F811
    place: Lab,  # noqa: F811
    halted: libvirt.virDomain,
) -> None:
    """libvirtd dies: who reads is told within a second or so."""
    own = LibvirtHypervisor(place.libvirtd.uri)
    assert own.console is not None
    with own.console.serial("halted") as line:
        place.libvirtd.kill()
        try:
            with pytest.raises(HypervisorError, match="is closed"):
                line.read(20)
        finally:
            place.libvirtd.restart()
    own.close()
