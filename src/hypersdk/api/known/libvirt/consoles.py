"""Screens and serial lines."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from urllib.parse import quote

from fastapi import WebSocket
from starlette.responses import Response

from hypersdk.api.known import beyond, reach
from hypersdk.api.known.reach import InstanceName, Reached, Which
from hypersdk.api.known.sockets import refusing
from hypersdk.api.pools import pools_of
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.api.streams import serial_socket, vnc_socket
from hypersdk.contract.known.watching import ConsoleAnswer, ConsoleInfo, SerialDevice
from hypersdk.drivers.ports import SerialStream
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidState, NotFound, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Display

#: Port of display 0.
_VNC = 5900


def known_domain_console(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> ConsoleAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        display = reach.console(here.hypervisor).display(name)
    if display.kind != "vnc":
        raise NotFound(f"'{name}' has no VNC display", hint="It has one that speaks SPICE.")
    return ConsoleAnswer(
        domain=name, vnc_display=_display(display), vnc_url=_socket("vnc", here, name)
    )


def known_console_info(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> ConsoleInfo:
    """Of a stopped machine, and of one without a screen, it says that there is none."""
    with reach.libvirt(services, who, hypervisor) as here:
        reach.inventory(here.hypervisor).instance(name)
        display = _shown(here, name)
        serial = _has_serial(here, name)
    vnc = display is not None and display.kind == "vnc"
    port = display.port if vnc and display is not None else 0
    return ConsoleInfo(
        vm_name=name,
        vnc_display=_display(display) if vnc and display is not None else "",
        vnc_port=port,
        vnc_url=f"vnc://{display.host}:{port}" if port and display is not None else "",
        webvnc_url=_socket("vnc", here, name) if vnc else "",
        has_vnc=vnc,
        has_spice=display is not None and display.kind == "spice",
        has_serial=serial,
        serial_device=_socket("serial", here, name) if serial else None,
    )


def known_serial_device(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> SerialDevice:
    """The line is reached through the daemon; a device of the hypervisor's host is no use to its
    callers."""
    with reach.libvirt(services, who, hypervisor) as here:
        reach.inventory(here.hypervisor).instance(name)
        serial = _has_serial(here, name)
    return SerialDevice(
        vm_name=name, device=_socket("serial", here, name) if serial else "", has_serial=serial
    )


def known_screenshot(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> Response:
    """A PNG."""
    with reach.libvirt(services, who, hypervisor) as here:
        picture = reach.console(here.hypervisor).screenshot(name)
    return Response(picture, media_type="image/png", headers={"Cache-Control": "no-store"})


async def known_vnc(
    services: WithServices, who: Who, socket: WebSocket, name: InstanceName, hypervisor: Which = ""
) -> None:
    """For noVNC and other clients that speak VNC over WebSocket."""
    async with refusing(socket):
        display = await pools_of(socket).slow(_of_screen, services, who, hypervisor, name)
        valid = partial(services.access.valid, who)
        await vnc_socket(socket, pools_of(socket), display, valid)


async def known_serial(
    services: WithServices, who: Who, socket: WebSocket, name: InstanceName, hypervisor: Which = ""
) -> None:
    """Whoever held the line before loses it."""
    pools = pools_of(socket)
    async with refusing(socket):
        stack, line = await pools.slow(_line, services, who, hypervisor, name)
        try:
            await serial_socket(socket, pools, line, partial(services.access.valid, who))
        finally:
            await pools.slow(stack.close)


def _of_screen(services: Services, who: Principal, hypervisor: str, name: str) -> Display:
    with reach.libvirt(services, who, hypervisor) as here:
        return reach.console(here.hypervisor).display(name)


def _line(
    services: Services, who: Principal, hypervisor: str, name: str
) -> tuple[ExitStack, SerialStream]:
    """The line, and what closes it and lets its hypervisor go."""
    with ExitStack() as stack:
        here = stack.enter_context(reach.libvirt(services, who, hypervisor))
        line = stack.enter_context(reach.console(here.hypervisor).serial(name))
        return stack.pop_all(), line


def _shown(here: Reached, name: str) -> Display | None:
    try:
        return reach.console(here.hypervisor).display(name)
    except (InvalidState, NotFound, NotSupported):
        return None


def _has_serial(here: Reached, name: str) -> bool:
    """Asked without opening it: whoever holds the line would lose it."""
    own = beyond.domains(here.hypervisor)
    if own is not None:
        return bool(own.of(name).serial)
    if here.hypervisor.console is None:
        return False
    return reach.inventory(here.hypervisor).instance(name).state is InstanceState.RUNNING


def _display(display: Display) -> str:
    """As vncviewer takes it: ``127.0.0.1:3`` is port 5903."""
    if display.socket:
        return ""
    number = display.port - _VNC
    return f"{display.host}:{number}" if 0 <= number < 100 else f"{display.host}::{display.port}"


def _socket(word: str, here: Reached, name: str) -> str:
    return f"/console/{word}?name={quote(name, safe='')}&hypervisor={quote(here.name, safe='')}"


HANDLERS = {
    "known_domain_console": known_domain_console,
    "known_console_info": known_console_info,
    "known_serial_device": known_serial_device,
    "known_screenshot": known_screenshot,
    "known_vnc": known_vnc,
    "known_serial": known_serial,
}
