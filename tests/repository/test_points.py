from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.model.errors import Damaged, KeyRequired
from hypersdk.model.instances import Consistency, Definition
from hypersdk.model.points import DiskStatistics, PointDisk, RestorePoint
from hypersdk.repository.format import ID_SIZE, Kind, dump, load, unwrap, wrap
from hypersdk.repository.keys import KeyRing
from hypersdk.repository.points import (
    committed,
    decode_definition,
    decode_point,
    encode_point,
    new_point_id,
)
from hypersdk.repository.store.ports import ObjectInfo
from hypersdk.repository.vault import Vault
from tests.repository.examples import KIB, MIB, MOMENT

RING = KeyRing.generate()
VAULT = Vault(b"r" * 16, RING, RING.public_key, encrypted=True)
WRITER = Vault(b"r" * 16, RING.for_writer(), RING.public_key, encrypted=True)
CLEAR = Vault(b"r" * 16, RING.for_writer(), b"", encrypted=False)
KEY = "web/20261121T030519Z-01KAH00000000000000000000A.rp"

DISK = PointDisk(
    name="vda",
    size=5 * MIB + 1,
    chunk_size=64 * KIB,
    segments=(b"s" * ID_SIZE,),
    format="qcow2",
    checkpoint="token-7",
    incremental=True,
    reason="checkpoint of yesterday",
    statistics=DiskStatistics(1, 2, 3, 4, 5, 0.5),
)
POINT = RestorePoint(
    id="01KAH00000000000000000000A",
    instance="web",
    time=MOMENT,
    stored_at=MOMENT,
    key=KEY,
    disks=(DISK, replace(DISK, name="vdb", size=0, segments=(), checkpoint=None)),
    consistency=Consistency.FILESYSTEM,
    source="mock:///lab",
    instance_id="uuid",
    tags={"owner": "Grüße"},
    pinned=True,
    locked_until=MOMENT + timedelta(days=3),
    previous=b"p" * 32,
    digest=b"d" * 32,
    warnings=("vda: read in full",),
)


def info(point: RestorePoint) -> ObjectInfo:
    return ObjectInfo(point.key, 0, point.stored_at)


def read(data: bytes, vault: Vault = VAULT) -> RestorePoint:
    return decode_point(info(POINT), data, vault)


@pytest.mark.parametrize("vault", [VAULT, WRITER, CLEAR], ids=["reader", "writer", "clear"])
def test_round_trip(vault: Vault) -> None:
    data = encode_point(POINT, None, vault)
    assert read(data, vault) == replace(POINT, digest=blake3(data).digest())
    assert committed(POINT, info(POINT), data) == read(data, vault)


@given(
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    tags=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    size=st.integers(0, 1 << 40),
    power=st.integers(16, 22),
    zone=st.integers(-12, 14),
    consistency=st.sampled_from(Consistency),
)
def test_round_trip_of_any_point(
    name: str,
    tags: dict[str, str],
    size: int,
    power: int,
    zone: int,
    consistency: Consistency,
) -> None:
    chunk_size = 1 << power
    count = math.ceil(math.ceil(size / chunk_size) / 4096)
    disk = PointDisk(name, size, chunk_size, tuple(bytes([n % 256]) * 32 for n in range(count)))
    local = MOMENT.astimezone(timezone(timedelta(hours=zone)))
    point = replace(
        POINT, instance=name, tags=tags, disks=(disk,), time=local, consistency=consistency
    )
    data = encode_point(point, None, CLEAR)
    assert read(data, CLEAR) == replace(point, digest=blake3(data).digest())
    assert read(data, CLEAR).time.tzinfo is UTC


def test_nothing_of_a_point_shows_in_an_encrypted_repository() -> None:
    data = encode_point(POINT, Definition("libvirt", b"<domain/>"), VAULT)
    for secret in (b"web", b"owner", b"token-7", b"domain", b"s" * 8, b"mock"):
        assert secret not in data


def test_definitions() -> None:
    definition = Definition("libvirt", b"<domain/>")
    for vault in (VAULT, CLEAR):
        data = encode_point(POINT, definition, vault)
        assert decode_definition(KEY, data, vault) == definition
        assert read(data, vault).definition_kind == "libvirt"
        assert decode_definition(KEY, encode_point(POINT, None, vault), vault) is None
    written = encode_point(POINT, definition, WRITER)
    assert decode_definition(KEY, written, VAULT) == definition
    with pytest.raises(KeyRequired):
        decode_definition(KEY, written, WRITER)


def test_an_altered_definition() -> None:
    body = content(encode_point(POINT, Definition("libvirt", b"<domain/>"), VAULT))
    body["definition"]["sealed"] = bytes(60)
    with pytest.raises(Damaged, match="definition"):
        decode_definition(KEY, rewrapped(body), VAULT)


def content(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = load(KEY, unwrap(Kind.RESTORE_POINT, KEY, data, VAULT.context))
    return found


def rewrapped(body: object) -> bytes:
    return wrap(Kind.RESTORE_POINT, KEY, dump(body), VAULT.context)


def test_entries_that_a_later_version_adds_are_ignored() -> None:
    body = content(encode_point(POINT, None, VAULT))
    body["later"] = 1
    body["disks"][0]["later"] = {"a": 1}
    body["disks"][0]["statistics"]["later"] = 1
    assert replace(read(rewrapped(body)), digest=POINT.digest) == POINT


@pytest.mark.parametrize("name", ["id", "instance", "time", "disks", "consistency", "previous"])
def test_a_missing_entry_is_named(name: str) -> None:
    body = content(encode_point(POINT, None, VAULT))
    del body[name]
    with pytest.raises(Damaged, match=f"{KEY} is no restore point: '{name}'"):
        read(rewrapped(body))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time", "yesterday"),
        ("time", 5),
        ("consistency", "perfect"),
        ("disks", 5),
        ("disks", [5]),
        ("disks", [{}]),
        ("definition", "text"),
        ("warnings", None),
        ("locked_until", "soon"),
    ],
)
def test_garbage_from_somebody_with_the_keys(name: str, value: object) -> None:
    body = content(encode_point(POINT, None, VAULT))
    body[name] = value
    with pytest.raises(Damaged, match="is no restore point"):
        read(rewrapped(body))


@pytest.mark.parametrize("body", [None, 5, [], "text", b"bytes"])
def test_no_map_at_all(body: object) -> None:
    with pytest.raises(Damaged, match="is no restore point"):
        read(rewrapped(body))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segments", b"s" * 31),
        ("segments", b"s" * 64),
        ("segments", b""),
        ("segments", "text"),
        ("size", -1),
        ("size", 1 << 50),
        ("chunk_size", 0),
        ("chunk_size", 65537),
        ("chunk_size", 32 * KIB),
        ("chunk_size", 8 * MIB),
        ("statistics", None),
    ],
)
def test_a_disk_whose_numbers_do_not_fit(name: str, value: object) -> None:
    body = content(encode_point(POINT, None, VAULT))
    body["disks"][0][name] = value
    with pytest.raises(Damaged, match="is no restore point"):
        read(rewrapped(body))


def test_a_point_does_not_pass_under_another_key() -> None:
    data = encode_point(POINT, None, VAULT)
    with pytest.raises(Damaged):
        decode_point(replace(info(POINT), key=KEY.replace("web", "db")), data, VAULT)


def test_text_that_is_not_utf8_is_made_readable() -> None:
    """The path of an image can hold any bytes; a backup must not fail for it at its end."""
    point = replace(POINT, source="/srv/caf\udce9.raw", tags={"k\udcff": "v\udcff"})
    found = read(encode_point(point, None, VAULT))
    assert found.source == "/srv/caf?.raw"


def test_ids_sort_by_time_and_are_unique() -> None:
    ids = [new_point_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert {len(identity) for identity in ids} == {26}
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)
    assert datetime.fromtimestamp(0, UTC) < MOMENT
