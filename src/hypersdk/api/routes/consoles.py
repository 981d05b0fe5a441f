"""Consoles of instances; part of `instances`."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from fastapi import Request, WebSocket
from starlette.responses import Response

from hypersdk.api.parts import need, opened_for, subject_of
from hypersdk.api.pools import pools_of
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, SocketServices, Who, WithServices
from hypersdk.api.streams import serial_socket, vnc_socket
from hypersdk.contract.instances import ConsoleRecord, KeysOrder
from hypersdk.drivers.ports import SerialStream
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidState, NotFound, NotSupported
from hypersdk.model.machines import Display


def instance_console(
    services: WithServices, who: Who, hypervisor: str, instance: str
) -> ConsoleRecord:
    """Paths on this daemon; the hypervisor itself need not be reachable by the caller."""
    base = f"/v1/hypervisors/{hypervisor}/instances/{instance}/console"
    with opened_for(services, who, hypervisor) as opened:
        console = need(opened.console, opened, "console")
        try:
            kind, note = console.display(instance).kind, ""
        except (InvalidState, NotFound, NotSupported) as error:
            kind, note = "", error.message
    vnc = f"{base}/vnc" if kind == "vnc" else ""
    return ConsoleRecord(
        kind=kind, vnc=vnc, serial=f"{base}/serial", screenshot=f"{base}/screenshot", note=note
    )


def instance_screenshot(
    services: WithServices, who: Who, hypervisor: str, instance: str
) -> Response:
    """A PNG."""
    with opened_for(services, who, hypervisor) as opened:
        picture = need(opened.console, opened, "console").screenshot(instance)
    return Response(picture, media_type="image/png", headers={"Cache-Control": "no-store"})


def send_keys(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    body: KeysOrder,
) -> None:
    """Names are Linux's without `KEY_`, in small letters. They are pressed at once."""
    with opened_for(services, who, hypervisor) as opened:
        need(opened.console, opened, "console").send_keys(instance, body.keys)
    # Which keys, nobody needs to know: they may be those of a password.
    note_change(request, subject_of(hypervisor, instance), None, {"keys": len(body.keys)})


async def serial_console(
    services: SocketServices, who: Who, socket: WebSocket, hypervisor: str, instance: str
) -> None:
    """Whoever held the line before loses it."""
    pools = pools_of(socket)
    stack, line = await pools.slow(_line, services, who, hypervisor, instance)
    try:
        await serial_socket(socket, pools, line, partial(services.access.valid, who))
    finally:
        await pools.slow(stack.close)


async def vnc_console(
    services: SocketServices, who: Who, socket: WebSocket, hypervisor: str, instance: str
) -> None:
    """For noVNC and other clients that speak VNC over WebSocket."""
    display = await pools_of(socket).slow(_display, services, who, hypervisor, instance)
    await vnc_socket(socket, pools_of(socket), display, partial(services.access.valid, who))


def _line(
    services: Services, who: Principal, hypervisor: str, instance: str
) -> tuple[ExitStack, SerialStream]:
    """The line, and what closes it and lets its hypervisor go."""
    with ExitStack() as stack:
        opened = stack.enter_context(opened_for(services, who, hypervisor))
        console = need(opened.console, opened, "console")
        line = stack.enter_context(console.serial(instance))
        return stack.pop_all(), line


def _display(services: Services, who: Principal, hypervisor: str, instance: str) -> Display:
    with opened_for(services, who, hypervisor) as opened:
        return need(opened.console, opened, "console").display(instance)


HANDLERS = {
    "instance_console": instance_console,
    "instance_screenshot": instance_screenshot,
    "send_keys": send_keys,
    "serial_console": serial_console,
    "vnc_console": vnc_console,
}
