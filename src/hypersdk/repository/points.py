"""Restore points as objects: the only commit points of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any

from blake3 import blake3
from ulid import ULID

from hypersdk.model.errors import Damaged
from hypersdk.model.instances import Consistency, Definition, Purpose
from hypersdk.model.points import DiskStatistics, PointDisk, RestorePoint
from hypersdk.repository.format import ID_SIZE, Kind, dump, is_chunk_size, load, unwrap, wrap
from hypersdk.repository.segments import segment_count
from hypersdk.repository.store.ports import ObjectInfo
from hypersdk.repository.vault import Vault


def new_point_id() -> str:
    """A ULID: sorts by the time it was made, and is unique in the world."""
    return str(ULID())


def encode_point(point: RestorePoint, definition: Definition | None, vault: Vault) -> bytes:
    """The object of a point; its definition is sealed to the readers."""
    body: dict[str, Any] = {
        "id": point.id,
        "instance": point.instance,
        "instance_id": point.instance_id,
        "time": point.time.isoformat(),
        "source": _text(point.source),
        "consistency": point.consistency.value,
        "tags": {_text(name): _text(value) for name, value in point.tags.items()},
        "pinned": point.pinned,
        "locked_until": point.locked_until.isoformat() if point.locked_until else None,
        "previous": point.previous,
        "warnings": list(point.warnings),
        "disks": [_encode_disk(disk) for disk in point.disks],
        "definition": None,
    }
    if definition is not None:
        sealed = vault.seal_definition(definition.content)
        body["definition"] = {"kind": definition.kind, "sealed": sealed}
    return wrap(Kind.RESTORE_POINT, point.key, dump(body), vault.context)


def decode_point(info: ObjectInfo, data: bytes, vault: Vault) -> RestorePoint:
    """Raises Damaged naming the object."""
    body = load(info.key, unwrap(Kind.RESTORE_POINT, info.key, data, vault.context))
    try:
        return RestorePoint(
            id=body["id"],
            instance=body["instance"],
            instance_id=body["instance_id"],
            time=datetime.fromisoformat(body["time"]).astimezone(UTC),
            stored_at=info.modified,
            key=info.key,
            disks=tuple(_decode_disk(disk) for disk in body["disks"]),
            consistency=Consistency(body["consistency"]),
            source=body["source"],
            tags=body["tags"],
            pinned=body["pinned"],
            locked_until=_time(body["locked_until"]),
            previous=body["previous"],
            digest=blake3(data).digest(),
            definition_kind=body["definition"]["kind"] if body["definition"] else "",
            warnings=tuple(body["warnings"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"object {info.key} is no restore point: {error}") from error


def decode_definition(key: str, data: bytes, vault: Vault) -> Definition | None:
    """The guest's definition in a point. Raises KeyRequired for a writer's key, or Damaged."""
    body = load(key, unwrap(Kind.RESTORE_POINT, key, data, vault.context))
    stored = body.get("definition")
    if stored is None:
        return None
    content = vault.open_definition(stored["sealed"])
    if content is None:
        raise Damaged(f"the definition in {key} was altered")
    return Definition(stored["kind"], content)


def committed(point: RestorePoint, info: ObjectInfo, data: bytes) -> RestorePoint:
    """The point as a reader will see it."""
    return replace(point, stored_at=info.modified, digest=blake3(data).digest())


def _encode_disk(disk: PointDisk) -> dict[str, Any]:
    body = asdict(disk)
    body["segments"] = b"".join(disk.segments)
    body["purpose"] = disk.purpose.value
    return body


def _decode_disk(body: Mapping[str, Any]) -> PointDisk:
    """Raises ValueError when its numbers do not fit each other: code behind this relies on them."""
    ids, size, chunk_size = memoryview(body["segments"]), body["size"], body["chunk_size"]
    if size < 0 or not is_chunk_size(chunk_size):
        raise ValueError(f"a disk of {size} bytes in chunks of {chunk_size}")
    if len(ids) != segment_count(size, chunk_size) * ID_SIZE:
        raise ValueError(f"{len(ids)} bytes of segment ids for a disk of {size} bytes")
    segments = tuple(bytes(ids[at : at + ID_SIZE]) for at in range(0, len(ids), ID_SIZE))
    statistics = DiskStatistics(**_known(DiskStatistics, body["statistics"]))
    known = _known(PointDisk, body)
    known["purpose"] = Purpose(body.get("purpose", Purpose.DISK.value))
    return PointDisk(**{**known, "segments": segments, "statistics": statistics})


def _known(record: type, body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a later version added (docs/format.md)."""
    return {field.name: body[field.name] for field in fields(record) if field.name in body}


def _text(text: str) -> str:
    """With ``?`` for what has no UTF-8 form: the path of an image can be any bytes."""
    return text.encode(errors="replace").decode()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
