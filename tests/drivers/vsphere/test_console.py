from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.console import ScreenTicket, VsphereConsole
from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InstanceNotFound, InvalidInput, InvalidState, NotSupported
from tests.drivers.vsphere.conftest import Made


def test_a_simulator_has_nobody_in_front(hypervisor: VsphereHypervisor) -> None:
    assert hypervisor.console is None


def test_what_there_is_no_way_to_show(connection: Connection, made: Made) -> None:
    console = VsphereConsole(connection)
    name = made(running=True)
    assert {limit.aspect for limit in console.limits} == {"console.display", "console.serial"}
    for use in (console.display, console.serial):
        with pytest.raises(NotSupported):
            use(name)
        with pytest.raises(InstanceNotFound):
            use("kit-nobody")


def test_what_a_host_does_not_know_is_not_supported(connection: Connection, made: Made) -> None:
    console = VsphereConsole(connection)
    name = made(running=True)
    for use in (console.screenshot, lambda name: console.send_keys(name, ["a"])):
        with pytest.raises(NotSupported, match=name):
            use(name)


def test_keys_are_checked_first(connection: Connection) -> None:
    with pytest.raises(InvalidInput, match="nosuchkey"):
        VsphereConsole(connection).send_keys("web", ("nosuchkey",))


def test_a_stopped_machine_has_no_screen(connection: Connection, made: Made) -> None:
    console, name = VsphereConsole(connection), made()
    for use in (console.screenshot, console.ticket, lambda name: console.send_keys(name, ["a"])):
        with pytest.raises(InvalidState, match=name):
            use(name)


def test_a_ticket_for_a_running_machine(hypervisor: VsphereHypervisor, made: Made) -> None:
    found = hypervisor.screen_ticket(made(running=True))
    assert found.ticket
    assert found.host
    assert found.port


def test_a_ticket_is_not_shown() -> None:
    ticket = ScreenTicket(host="esx.example", port=443, ticket="cst-VCT-s3cret")
    assert "s3cret" not in repr(ticket)
    assert ticket.url == "wss://esx.example:443/ticket/cst-VCT-s3cret"
