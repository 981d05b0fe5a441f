"""Records as JSON: bytes, seconds, ISO 8601 UTC; what docs/schemas describes."""

from __future__ import annotations

from hypersdk import (
    BootTest,
    CopyReport,
    Damage,
    Decision,
    DiskDifference,
    GcReport,
    KeySlot,
    PointDisk,
    RecoverReport,
    RepositoryStatistics,
    RestoredDisk,
    RestorePoint,
    VerifyReport,
)
from hypersdk.cli.terminal import Document
from hypersdk.cli.words import moment


def point(record: RestorePoint) -> Document:
    return {
        "id": record.id,
        "instance": record.instance,
        "time": moment(record.time),
        "stored_at": moment(record.stored_at),
        "source": record.source,
        "instance_id": record.instance_id,
        "consistency": record.consistency.value,
        "size": record.size,
        "pinned": record.pinned,
        "locked_until": moment(record.locked_until) if record.locked_until else None,
        "tags": dict(record.tags),
        "definition_kind": record.definition_kind,
        "digest": record.digest.hex(),
        "previous": record.previous.hex(),
        "warnings": list(record.warnings),
        "disks": [disk(each) for each in record.disks],
    }


def disk(record: PointDisk) -> Document:
    counted = record.statistics
    return {
        "name": record.name,
        "size": record.size,
        "chunk_size": record.chunk_size,
        "format": record.format,
        "purpose": record.purpose.value,
        "incremental": record.incremental,
        "reason": record.reason,
        "statistics": {
            "read": counted.read,
            "changed": counted.changed,
            "stored": counted.stored,
            "zero": counted.zero,
            "unchanged": counted.unchanged,
            "seconds": round(counted.seconds, 3),
        },
    }


def restored(record: RestoredDisk) -> Document:
    return {
        "disk": record.disk,
        "path": str(record.path),
        "size": record.size,
        "written": record.written,
        "seconds": round(record.seconds, 3),
    }


def boot_test(record: BootTest) -> Document:
    return {
        "instance": record.instance,
        "sign": record.sign.value,
        "rto": round(record.rto, 3),
        "restore_seconds": round(record.restore_seconds, 3),
        "boot_seconds": round(record.boot_seconds, 3),
        "serial": record.serial,
    }


def decision(record: Decision) -> Document:
    return {
        "id": record.point.id,
        "instance": record.point.instance,
        "time": moment(record.point.time),
        "keep": record.keep,
        "reasons": list(record.reasons),
    }


def verification(record: VerifyReport) -> Document:
    return {
        "ok": record.ok,
        "level": record.level.value,
        "packs": record.packs,
        "chunks": record.chunks,
        "points": record.points,
        "read": record.read,
        "seconds": round(record.seconds, 3),
        "damage": [damage(each) for each in record.damage],
        "harmless": [damage(each) for each in record.harmless],
    }


def damage(record: Damage) -> Document:
    return {
        "object": record.object,
        "problem": record.problem,
        "offset": record.offset,
        "length": record.length,
        "chunk": record.chunk,
        "affected": [
            {
                "instance": area.instance,
                "point": area.point,
                "disk": area.disk,
                "start": area.start,
                "length": area.length,
            }
            for area in record.affected
        ],
    }


def collection(record: GcReport) -> Document:
    return {
        "condemned_packs": record.condemned_packs,
        "condemned_bytes": record.condemned_bytes,
        "repacked_bytes": record.repacked_bytes,
        "swept_packs": record.swept_packs,
        "swept_bytes": record.swept_bytes,
        "rescued_packs": record.rescued_packs,
        "waiting_packs": record.waiting_packs,
        "waiting_for": record.waiting_for,
        "seconds": round(record.seconds, 3),
    }


def statistics(record: RepositoryStatistics) -> Document:
    return {
        "instances": record.instances,
        "points": record.points,
        "virtual": record.virtual,
        "packs": record.packs,
        "stored": record.stored,
        "chunks": record.chunks,
        "cache": record.cache,
    }


def difference(record: DiskDifference) -> Document:
    return {
        "disk": record.disk,
        "presence": record.presence,
        "changed": record.changed,
        "areas": [{"start": start, "length": length} for start, length in record.areas],
    }


def recovery(record: RecoverReport) -> Document:
    return {
        "packs": record.packs,
        "chunks": record.chunks,
        "unreadable": dict(record.unreadable),
        "seconds": round(record.seconds, 3),
    }


def copied(record: CopyReport) -> Document:
    return {
        "kind": record.kind,
        "points": record.points,
        "packs": record.packs,
        "copied": record.copied,
        "seconds": round(record.seconds, 3),
    }


def key(record: KeySlot) -> Document:
    return {
        "id": record.id,
        "role": record.role,
        "method": record.method,
        "label": record.label,
        "created": moment(record.created),
    }
