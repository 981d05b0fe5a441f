"""Boot a restore point in isolation: it shows a sign, it is measured, and nothing stays."""

from __future__ import annotations

import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import hypersdk
from hypersdk import BootTest, BootTestOptions, CancelToken, InvalidInput, Placement, Sign
from hypersdk.model.errors import HypervisorError, Interrupted, OperationTimeout
from tests.flows.kvm.scene import Scene, image_io
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab

NIC = "<interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>"


@pytest.fixture
def bootable(scene: Scene, lab: Lab) -> hypersdk.RestorePoint:
    """A point of a domain with an agent, a NIC, a screen, and a socket of the host's."""
    disk = DiskSpec(lab.image("web.qcow2"))
    image_io(disk.path, "write -P 0x41 0 4M")
    channel = (
        f"<channel type='unix'><source mode='bind' path='{lab.folder}/secret'/>"
        "<target type='virtio' name='org.example.secret'/></channel>"
    )
    lab.connection.defineXML(domain_xml("we b", [disk], system=lab.system, devices=[NIC, channel]))
    scene.disks["we b"] = (disk,)
    return scene.backup("we b")


def boot(scene: Scene, point: hypersdk.RestorePoint, **options: object) -> BootTest:
    """A boot test after which nothing is left."""
    more = {name: options.pop(name) for name in ("reporter", "cancel") if name in options}
    placement = Placement(folder=str(scene.lab.folder))
    before = files(scene)
    try:
        return hypersdk.boot_test(
            scene.repository,
            point,
            scene.hypervisor,
            options=BootTestOptions(**{"placement": placement, "timeout": 60, **options}),  # type: ignore[arg-type]
            **more,  # type: ignore[arg-type]
        )
    finally:
        assert [domain.name() for domain in scene.lab.connection.listAllDomains()] == ["we b"]
        assert files(scene) == before


def files(scene: Scene) -> set[Path]:
    return set(scene.lab.folder.rglob("*"))


def test_text_on_the_serial_line(scene: Scene, bootable: hypersdk.RestorePoint) -> None:
    began = time.monotonic()
    done = boot(scene, bootable, sign=Sign.SERIAL, text="LAB READY")
    assert "LAB READY" in done.serial
    assert done.instance.startswith("we b-test-")
    assert 0 < done.restore_seconds < done.rto
    assert done.rto == pytest.approx(done.restore_seconds + done.boot_seconds)
    assert done.rto < time.monotonic() - began


def test_agent_answers_in_isolation(scene: Scene, bootable: hypersdk.RestorePoint) -> None:
    """It is kept, to see what it was: no NIC has a link, nothing leads to the host."""
    options = BootTestOptions(
        sign=Sign.AGENT, keep=True, timeout=60, placement=Placement(folder=str(scene.lab.folder))
    )
    done = hypersdk.boot_test(scene.repository, bootable, scene.hypervisor, options=options)
    domain = scene.lab.connection.lookupByName(done.instance)
    assert domain.isActive()
    xml = ET.fromstring(domain.XMLDesc())
    nics = xml.findall("devices/interface")
    assert [nic.find("link[@state='down']") is not None for nic in nics] == [True]
    mac = nics[0].find("mac")
    assert mac is not None
    assert mac.get("address") != "52:54:00:11:22:33"
    assert xml.find("devices/channel/target[@name='org.example.secret']") is None
    assert domain.autostart() == 0
    assert done.screenshot.startswith(b"\x89PNG")
    assert scene.hypervisor.provisioning is not None
    made = [str(path) for path in scene.lab.folder.glob("we b-test-*")]
    assert len(made) == 3  # disk, kernel, initrd
    scene.hypervisor.provisioning.discard(done.instance, made)
    assert [domain.name() for domain in scene.lab.connection.listAllDomains()] == ["we b"]
    scene.hypervisor.provisioning.discard(done.instance, made)  # gone already


def test_screen_changes(scene: Scene, lab: Lab) -> None:
    """The kernel's messages come after the firmware's."""
    disk = DiskSpec(lab.image("web.qcow2", "8M"))
    words = "console=tty0 loglevel=7"
    lab.connection.defineXML(domain_xml("we b", [disk], system=lab.system, options=words))
    scene.disks["we b"] = (disk,)
    done = boot(scene, scene.backup("we b"), sign=Sign.SCREEN)
    assert done.screenshot.startswith(b"\x89PNG")


def test_cursor_that_blinks_is_no_sign(scene: Scene, bootable: hypersdk.RestorePoint) -> None:
    """This guest writes nothing on its screen; the firmware's cursor goes on blinking."""
    with pytest.raises(OperationTimeout, match="no sign"):
        boot(scene, bootable, sign=Sign.SCREEN, timeout=6)


def test_no_sign_in_time(scene: Scene, bootable: hypersdk.RestorePoint) -> None:
    """What it did say is in the hint; how long it takes to say that depends on the machine."""
    for seconds in (5, 15, 45):
        said = rf"gave no sign \(serial\) within {seconds} s"
        with pytest.raises(OperationTimeout, match=said) as caught:
            boot(scene, bootable, sign=Sign.SERIAL, text="never said", timeout=seconds)
        if "LAB READY" in caught.value.hint:
            return
    raise AssertionError(caught.value.hint)


def test_guest_that_switches_itself_off(scene: Scene, lab: Lab) -> None:
    """Nobody waits for a sign of a guest that is gone."""
    disk = DiskSpec(lab.image("web.qcow2", "8M"))
    xml = domain_xml("we b", [disk], system=lab.system, options="rdinit=/bin/false")
    lab.connection.defineXML(xml.replace("</devices>", "</devices><on_reboot>destroy</on_reboot>"))
    scene.disks["we b"] = (disk,)
    point = scene.backup("we b")
    began = time.monotonic()
    with pytest.raises(HypervisorError, match="is not running any more"):
        boot(scene, point, sign=Sign.SERIAL, text="LAB READY")
    assert time.monotonic() - began < 30


def test_cancelled(scene: Scene, bootable: hypersdk.RestorePoint) -> None:
    token = CancelToken()
    with pytest.raises(Interrupted):
        boot(scene, bootable, reporter=lambda progress: token.cancel(), cancel=token)


def test_malformed_requests(scene: Scene, bootable: hypersdk.RestorePoint) -> None:
    with pytest.raises(InvalidInput, match="which text"):
        boot(scene, bootable, sign=Sign.SERIAL)
    options = BootTestOptions(placement=Placement(overwrite=True))
    with pytest.raises(InvalidInput, match="replaces nothing"):
        hypersdk.boot_test(scene.repository, bootable, scene.hypervisor, options=options)
