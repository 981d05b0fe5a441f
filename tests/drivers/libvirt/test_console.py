from __future__ import annotations

import os
import struct
import threading
from xml.etree import ElementTree as ET

import libvirt
import pytest

from hypersdk.drivers.libvirt.console import LibvirtConsole
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.model.errors import (
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.machines import Display
from tests.drivers.libvirt.places import hypervisor, place  # noqa: F401
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab

pytestmark = pytest.mark.timeout(60)
BARE = (
    "<domain type='qemu'><name>bare</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
)
BARE += "<devices><video><model type='none'/></video></devices></domain>"


@pytest.fixture(scope="module")
def console(hypervisor: LibvirtHypervisor) -> LibvirtConsole:  # noqa: F811
    assert hypervisor.console is not None
    return hypervisor.console


@pytest.fixture(scope="module")
def machine(place: Lab) -> libvirt.virDomain:  # noqa: F811
    """A machine that runs its firmware only."""
    domain = place.connection.defineXML(domain_xml("ü & machine"))
    domain.create()
    return domain


def bare(place: Lab, devices: str = "") -> str:  # noqa: F811
    """A machine with nothing that could be looked at; gone when it stops."""
    root = ET.fromstring(BARE)
    listed = root.find("devices")
    assert listed is not None
    listed.extend(ET.fromstring(f"<devices>{devices}</devices>"))
    place.connection.createXML(ET.tostring(root, encoding="unicode"))
    return "bare"


@pytest.fixture
def vanishing(place: Lab) -> object:  # noqa: F811
    """Stops what `bare` has started."""
    yield
    place.connection.lookupByName("bare").destroy()


def test_display(console: LibvirtConsole, machine: libvirt.virDomain) -> None:
    display = console.display(machine.name())
    assert (display.kind, display.host, display.socket) == ("vnc", "127.0.0.1", "")
    graphics = ET.fromstring(machine.XMLDesc()).find("devices/graphics")
    assert graphics is not None
    assert display.port == int(graphics.attrib["port"]) > 0


@pytest.mark.usefixtures("vanishing")
def test_display_that_listens_everywhere(console: LibvirtConsole, place: Lab) -> None:  # noqa: F811
    bare(place, "<graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'/>")
    assert console.display("bare").host == "127.0.0.1"


@pytest.mark.usefixtures("vanishing")
def test_display_on_a_socket(console: LibvirtConsole, place: Lab) -> None:  # noqa: F811
    path = f"{place.folder}/vnc"
    bare(place, f"<graphics type='vnc'><listen type='socket' socket='{path}'/></graphics>")
    assert console.display("bare") == Display("vnc", "", 0, path)
    os.unlink(path)  # neither QEMU nor libvirt does


@pytest.mark.usefixtures("vanishing")
def test_machine_without_anything(console: LibvirtConsole, place: Lab) -> None:  # noqa: F811
    bare(place)
    for look in (console.display, console.serial, console.screenshot):
        with pytest.raises(NotFound, match="'bare' has no"):
            look("bare")


@pytest.mark.usefixtures("vanishing")
def test_serial_line_that_leads_elsewhere(console: LibvirtConsole, place: Lab) -> None:  # noqa: F811
    bare(place, "<serial type='null'/>")
    with pytest.raises(HypervisorError, match="leads to a null, not to libvirt"):
        console.serial("bare")


def test_stopped_machine(console: LibvirtConsole, place: Lab) -> None:  # noqa: F811
    place.connection.defineXML(domain_xml("stopped"))
    for look in (console.display, console.serial, console.screenshot):
        with pytest.raises(InvalidState, match="'stopped' is stopped"):
            look("stopped")
    with pytest.raises(InvalidState, match="press keys of 'stopped'"):
        console.send_keys("stopped", ["a"])
    with pytest.raises(InstanceNotFound):
        console.display("nobody")


def test_screenshot(console: LibvirtConsole, machine: libvirt.virDomain) -> None:
    picture = console.screenshot(machine.name())
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack_from(">II", picture, 16)
    assert (width, height) in {(640, 480), (720, 400), (1280, 800)}
    assert picture.endswith(b"IEND\xae\x42\x60\x82")


def test_keys_reach_the_machine(
    console: LibvirtConsole,
    machine: libvirt.virDomain,
    hypervisor: LibvirtHypervisor,  # noqa: F811
) -> None:
    """The firmware starts again when the three keys are pressed together."""
    rebooted = threading.Event()
    connection = hypervisor._connection.native  # opened after libvirt had its event loop
    number = connection.domainEventRegisterAny(
        connection.lookupByName(machine.name()),
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT,
        lambda *_: rebooted.set(),
        None,
    )
    try:
        for _ in range(20):  # firmware that is still starting has no keyboard
            console.send_keys(machine.name(), ("ctrl", "alt", "delete"))
            if rebooted.wait(1):
                break
    finally:
        connection.domainEventDeregisterAny(number)
    assert rebooted.is_set()


def test_unknown_key(console: LibvirtConsole, machine: libvirt.virDomain) -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'enter'"):
        console.send_keys(machine.name(), ["entre"])
