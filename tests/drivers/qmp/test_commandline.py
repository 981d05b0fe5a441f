"""Command lines, and that QEMU takes them for machines of every shape."""

from __future__ import annotations

from pathlib import Path

from hypersdk.drivers.qmp.commandline import PORTS_MIN, command_line, ports
from hypersdk.drivers.qmp.definition import decode
from hypersdk.drivers.qmp.emulator import installed
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.qmp.conftest import Place


def test_odd_names_and_folders_are_no_options(place: Place) -> None:
    place.create("web,debug-threads=on,id=x")
    machine = decode(
        (place.backend.definition("web,debug-threads=on,id=x")[0] / "definition.json").read_bytes()
    )
    words = command_line(machine, Path("/a,b"), installed(), "tcg")
    assert "guest=web,,debug-threads=on,,id=x" in words
    assert any("path=/a,,b/qmp," in word for word in words)
    place.driver.lifecycle.start(machine.name)
    with place.monitor(machine.name) as monitor:
        assert monitor.ask("query-name")["name"] == machine.name


def test_a_machine_with_many_devices_starts(place: Place) -> None:
    disks = tuple(DiskSpec(name=f"d{number}", size=MIB) for number in range(20))
    place.create(disks=disks, nics=tuple(NicSpec() for _ in range(3)))
    machine = decode((place.backend.definition("web")[0] / "definition.json").read_bytes())
    assert ports(machine) >= 23 > PORTS_MIN
    place.driver.lifecycle.start("web")
    with place.monitor() as monitor:
        assert len(monitor.ask("query-block")) == 20
