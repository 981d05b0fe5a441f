"""ISO images in the daemon's own folder, and the CD drives that they are put into."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request

from hypersdk.api.known import reach
from hypersdk.api.known.folders import file_name, inside, own
from hypersdk.api.known.power import note
from hypersdk.api.known.reach import Which
from hypersdk.api.known.uploads import Upload
from hypersdk.api.pools import pools_of
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.known.resources import (
    AttachIsoAsked,
    DetachIsoAsked,
    Iso,
    IsoAsked,
    IsoAttached,
    IsoDetached,
    IsoDone,
    IsosAnswer,
    IsoUploaded,
)
from hypersdk.datapath.failures import from_os
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput

ENDING = ".iso"
#: Name of the part of the form.
_PART = "iso"
#: Bytes that come together before they are written.
_TOGETHER = 4 << 20


def known_list_isos(services: WithServices, who: Who) -> IsosAnswer:
    """By name."""
    folder = _folder(services, who)
    try:
        with os.scandir(folder) as entries:
            found = [
                Iso(name=each.name, path=each.path, size=each.stat().st_size)
                for each in entries
                if each.is_file(follow_symlinks=False) and each.name.lower().endswith(ENDING)
            ]
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise from_os(error, folder, "read") from error
    found.sort(key=lambda iso: iso.name)
    return IsosAnswer(isos=found, total=len(found), storage_dir=str(folder))


async def known_upload_iso(services: WithServices, who: Who, request: Request) -> IsoUploaded:
    """Part `iso` of a multipart form. Written as it comes: it takes no memory, and has its name
    when all of it is there. One that exists is not replaced."""
    pools = pools_of(request)
    upload = Upload(
        request.headers.get("content-type", ""),
        _PART,
        lambda name: _folder(services, who) / file_name(name, ENDING),
        most=services.settings.limits.upload,
    )
    try:
        async for part in _together(request.stream()):
            await pools.slow(upload.take, part)
        path = await pools.slow(upload.finish)
    finally:
        await pools.slow(upload.discard)
    note_change(request, f"isos/{path.name}", None, {"bytes": upload.size})
    return IsoUploaded(
        message=f"ISO {path.name} uploaded successfully",
        filename=path.name,
        path=str(path),
        size=upload.size,
    )


def known_delete_iso(services: WithServices, who: Who, request: Request, body: IsoAsked) -> IsoDone:
    path = _image(services, who, body.filename)
    try:
        path.unlink()
    except OSError as error:
        raise from_os(error, path, "delete") from error
    note_change(request, f"isos/{path.name}", {"name": path.name}, None)
    return IsoDone(message=f"ISO {path.name} deleted successfully", filename=path.name)


def known_attach_iso(
    services: WithServices,
    who: Who,
    request: Request,
    body: AttachIsoAsked,
    hypervisor: Which = "",
) -> IsoAttached:
    """The hypervisor must reach the daemon's folder under the same path."""
    if not (body.filename or body.iso_path):
        raise InvalidInput(
            "either filename or iso_path is needed", hint="They are listed at /libvirt/isos/list"
        )
    path = _image(services, who, body.filename or body.iso_path)
    with reach.libvirt(services, who, hypervisor) as here:
        drive = reach.hotplug(here.hypervisor).insert_media(
            body.vm_name, str(path), body.device or None
        )
        note(services, who, request, here, body.vm_name, "changed")
    return IsoAttached(
        message=f"ISO attached to {body.vm_name}",
        vm_name=body.vm_name,
        iso_path=str(path),
        device=drive,
    )


def known_detach_iso(
    services: WithServices,
    who: Who,
    request: Request,
    body: DetachIsoAsked,
    hypervisor: Which = "",
) -> IsoDetached:
    """The drive stays, empty."""
    with reach.libvirt(services, who, hypervisor) as here:
        reach.hotplug(here.hypervisor).eject_media(body.vm_name, body.device or None)
        note(services, who, request, here, body.vm_name, "changed")
    return IsoDetached(
        message=f"ISO detached from {body.vm_name}", vm_name=body.vm_name, device=body.device
    )


def _folder(services: Services, who: Principal) -> Path:
    return own(Path(services.settings.folders.isos), who.tenant)


def _image(services: Services, who: Principal, name: str) -> Path:
    path = inside(Path(services.settings.folders.isos), name, who.tenant, "filename")
    file_name(path.name, ENDING)
    return path


async def _together(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Larger parts: each goes to a thread of its own time."""
    waiting = bytearray()
    async for part in parts:
        waiting += part
        if len(waiting) >= _TOGETHER:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


HANDLERS = {
    "known_list_isos": known_list_isos,
    "known_upload_iso": known_upload_iso,
    "known_delete_iso": known_delete_iso,
    "known_attach_iso": known_attach_iso,
    "known_detach_iso": known_detach_iso,
}
