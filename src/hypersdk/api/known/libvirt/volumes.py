"""Storage pools and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query, Request

from hypersdk.api.known import beyond, reach
from hypersdk.api.known.folders import inside
from hypersdk.api.known.reach import Reached, Which
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.known.resources import (
    CloneVolumeAsked,
    KnownPool,
    KnownVolume,
    NewVolumeAsked,
    PoolsAnswer,
    ResizeVolumeAsked,
    UploadVolumeAsked,
    VolumeAsked,
    VolumeCloned,
    VolumeDone,
    VolumeMade,
    VolumeResized,
    VolumesAnswer,
    VolumeUploaded,
    VolumeWiped,
    WipeVolumeAsked,
)
from hypersdk.datapath.imageinspect import inspect
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.resources import Pool, Volume
from hypersdk.model.units import GIB

_Pool = Annotated[str, Query(max_length=255)]


def known_list_pools(services: WithServices, who: Who, hypervisor: Which = "") -> PoolsAnswer:
    """By name."""
    with reach.libvirt(services, who, hypervisor) as here:
        found = [_pool(each) for each in reach.storage(here.hypervisor).pools()]
    return PoolsAnswer(pools=found, total=len(found))


def known_list_volumes(
    services: WithServices, who: Who, pool: _Pool = "default", hypervisor: Which = ""
) -> VolumesAnswer:
    """By name."""
    with reach.libvirt(services, who, hypervisor) as here:
        found = [_volume(each) for each in reach.storage(here.hypervisor).volumes(pool)]
    return VolumesAnswer(volumes=found, total=len(found), pool=pool)


def known_volume_info(
    services: WithServices,
    who: Who,
    volume: Annotated[str, Query(min_length=1, max_length=255)],
    pool: _Pool = "default",
    hypervisor: Which = "",
) -> KnownVolume:
    with reach.libvirt(services, who, hypervisor) as here:
        for each in reach.storage(here.hypervisor).volumes(pool):
            if each.name == volume:
                return _volume(each)
    raise NotFound(
        f"there is no volume '{volume}' in the pool '{pool}'",
        hint=f"They are listed at /libvirt/volumes?pool={pool}",
    )


def known_create_volume(
    services: WithServices,
    who: Who,
    request: Request,
    body: NewVolumeAsked,
    hypervisor: Which = "",
) -> VolumeMade:
    """`prealloc` takes its room at once: all of a raw one, the tables of a qcow2."""
    size = body.capacity * GIB
    with reach.libvirt(services, who, hypervisor) as here:
        if body.prealloc:
            own = beyond.volumes(here.hypervisor)
            made = own.preallocate(body.pool, body.name, size, body.format)
        else:
            storage = reach.storage(here.hypervisor)
            made = storage.create_volume(body.pool, body.name, size, body.format)
        _noted(request, here, made, "created")
    return VolumeMade(
        message=f"Volume {made.name} created",
        pool=made.pool,
        name=made.name,
        path=made.path,
        format=made.format,
        capacity=body.capacity,
    )


def known_clone_volume(
    services: WithServices,
    who: Who,
    request: Request,
    body: CloneVolumeAsked,
    hypervisor: Which = "",
) -> VolumeCloned:
    """In the format of the original, without its backing image."""
    with reach.libvirt(services, who, hypervisor) as here:
        made = beyond.volumes(here.hypervisor).clone(
            body.pool, body.source_volume, body.target_volume, body.target_pool
        )
        _noted(request, here, made, "cloned")
    return VolumeCloned(
        message=f"Volume {body.source_volume} cloned to {made.name}",
        source_volume=body.source_volume,
        target_volume=made.name,
        target_pool=made.pool,
        path=made.path,
    )


def known_resize_volume(
    services: WithServices,
    who: Who,
    request: Request,
    body: ResizeVolumeAsked,
    hypervisor: Which = "",
) -> VolumeResized:
    """Smaller only with `shrink`: what is behind the new end is lost."""
    size = body.capacity * GIB
    with reach.libvirt(services, who, hypervisor) as here:
        storage = reach.storage(here.hypervisor)
        smaller = any(
            each.name == body.volume and each.capacity > size
            for each in (storage.volumes(body.pool) if body.shrink else ())
        )
        if smaller:
            made = beyond.volumes(here.hypervisor).shrink(body.pool, body.volume, size)
        else:
            made = storage.resize_volume(body.pool, body.volume, size)
        _noted(request, here, made, "resized")
    return VolumeResized(
        message=f"Volume {made.name} resized to {body.capacity}GB",
        pool=made.pool,
        volume=made.name,
        new_capacity=body.capacity,
    )


def known_delete_volume(
    services: WithServices, who: Who, request: Request, body: VolumeAsked, hypervisor: Which = ""
) -> VolumeDone:
    """Refused while a domain or another image needs it."""
    with reach.libvirt(services, who, hypervisor) as here:
        reach.storage(here.hypervisor).delete_volume(body.pool, body.volume)
        _note(request, here, body.pool, body.volume, "deleted")
    return VolumeDone(message=f"Volume {body.volume} deleted", pool=body.pool, volume=body.volume)


def known_upload_volume(
    services: WithServices,
    who: Who,
    request: Request,
    body: UploadVolumeAsked,
    hypervisor: Which = "",
) -> VolumeUploaded:
    """The image must be of the format that is said, and stand alone."""
    folder = Path(services.settings.folders.imports)
    source = inside(folder, body.source_path, who.tenant, "source_path")
    info = inspect(source)
    if info.format != body.format:
        raise InvalidInput(
            f"format: {body.source_path} is {info.format}, not {body.format}",
            hint="Say what it is, or convert it first with a job of kind convert.",
        )
    if info.backing is not None or info.data_file is not None:
        raise InvalidInput(
            f"{body.source_path} needs other files, which do not go along",
            hint="Convert it first with a job of kind convert.",
        )
    with reach.libvirt(services, who, hypervisor) as here:
        made = beyond.volumes(here.hypervisor).upload(
            body.pool, body.volume, source, info.size, info.format
        )
        _noted(request, here, made, "uploaded")
    return VolumeUploaded(
        message=f"Image uploaded to volume {made.name}",
        pool=made.pool,
        volume=made.name,
        path=made.path,
        format=made.format,
        capacity_gb=-(-made.capacity // GIB),
        source=body.source_path,
    )


def known_wipe_volume(
    services: WithServices,
    who: Who,
    request: Request,
    body: WipeVolumeAsked,
    hypervisor: Which = "",
) -> VolumeWiped:
    """Refused while a domain uses it. It stays, empty."""
    with reach.libvirt(services, who, hypervisor) as here:
        beyond.volumes(here.hypervisor).wipe(body.pool, body.volume, body.algorithm)
        _note(request, here, body.pool, body.volume, "wiped")
    return VolumeWiped(
        message=f"Volume {body.volume} wiped using {body.algorithm} algorithm",
        pool=body.pool,
        volume=body.volume,
        algorithm=body.algorithm,
    )


def _noted(request: Request, here: Reached, made: Volume, word: str) -> None:
    _note(request, here, made.pool, made.name, word)


def _note(request: Request, here: Reached, pool: str, name: str, word: str) -> None:
    subject = f"hypervisors/{here.name}/volumes/{pool}/{name}"
    note_change(request, subject, None, {"volume": word})


def _pool(found: Pool) -> KnownPool:
    return KnownPool(
        name=found.name,
        uuid="",  # of libvirt's pools the port does not tell it
        state="active" if found.active else "inactive",
        capacity=found.capacity,
        available=found.available,
        path=found.path,
    )


def _volume(found: Volume) -> KnownVolume:
    return KnownVolume(
        name=found.name,
        pool=found.pool,
        path=found.path,
        type="block" if found.path.startswith("/dev/") else "file",
        capacity=found.capacity,
        allocation=found.allocation,
        format=found.format,
    )


HANDLERS = {
    "known_list_pools": known_list_pools,
    "known_list_volumes": known_list_volumes,
    "known_volume_info": known_volume_info,
    "known_create_volume": known_create_volume,
    "known_clone_volume": known_clone_volume,
    "known_resize_volume": known_resize_volume,
    "known_delete_volume": known_delete_volume,
    "known_upload_volume": known_upload_volume,
    "known_wipe_volume": known_wipe_volume,
}
