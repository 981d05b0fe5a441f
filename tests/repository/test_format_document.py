"""docs/format.md and the code say the same, byte by byte."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from hypersdk.repository import format as code
from hypersdk.repository import layout
from hypersdk.repository.ciphers import TAG_SIZE
from hypersdk.repository.keys import KEY_FILE, PASSPHRASE, RECIPIENT

DOCUMENT = Path(__file__).parents[2] / "docs" / "format.md"
TEXT = DOCUMENT.read_text()

_TABLE = re.compile(r"^Table `(\w+)`, (\d+) bytes[^\n]*:\n\n((?:\|[^\n]*\n)+)", re.MULTILINE)


def documented_tables() -> dict[str, tuple[int, list[str], list[str]]]:
    """Name → size, names of the fields, their struct codes."""
    tables = {}
    for name, size, rows in _TABLE.findall(TEXT):
        cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()]
        assert cells[0][:2] == ["field", "type"], name
        body = cells[2:]
        tables[name] = (int(size), [row[0] for row in body], [row[1] for row in body])
    return tables


STRUCTS = {name: value for name, value in vars(code).items() if isinstance(value, struct.Struct)}


def test_every_struct_has_a_table_and_every_table_a_struct() -> None:
    assert documented_tables().keys() == STRUCTS.keys()
    assert TEXT.count("Table `") == len(STRUCTS), "a table is not in the form that is compared"


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_a_table_has_the_size_and_the_codes_of_its_struct(name: str) -> None:
    size, _, codes = documented_tables()[name]
    found = STRUCTS[name]
    assert found.format == "<" + "".join(codes)
    assert found.size == size


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_the_comment_on_a_struct_names_the_fields_of_its_table(name: str) -> None:
    """So that who reads only the code sees the same words."""
    _, fields, _ = documented_tables()[name]
    source = Path(code.__file__).read_text()
    comment = re.search(rf"((?:^#:.*\n)+)^{name} = ", source, re.MULTILINE)
    assert comment is not None
    assert len(comment[1].replace("#:", "").split(",")) == len(fields)


def numbered(text: str) -> dict[int, str]:
    """``1 config, 2 key slot`` → {1: "CONFIG", 2: "KEY_SLOT"}."""
    pairs = (part.strip().split(maxsplit=1) for part in text.replace("\n", " ").split(","))
    return {int(number): name.upper().replace(" ", "_") for number, name in pairs}


def field_meaning(table: str, field: str) -> str:
    rows: str = next(rows for name, _, rows in _TABLE.findall(TEXT) if name == table)
    cells = ([cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines())
    return next(row[2] for row in cells if row[0] == field)


def test_kinds() -> None:
    listed = re.search(r"^Kinds: (.*?)\.$", TEXT, re.MULTILINE | re.DOTALL)
    assert listed is not None
    documented = {n: name.removesuffix("_NOTE") for n, name in numbered(listed[1]).items()}
    assert documented == {kind.value: kind.name for kind in code.Kind}


def test_pack_kinds() -> None:
    expected = {kind.value: kind.name for kind in code.PackKind}
    assert numbered(field_meaning("PACK_TRAILER", "kind")) == expected
    assert numbered(field_meaning("RUN_PACK", "kind")) == expected


def test_protections() -> None:
    expected = {protection.value: protection.name for protection in code.Protection}
    assert numbered(field_meaning("PACK_GROUP", "protection")) == expected
    for table in ("ENVELOPE", "PACK_TRAILER"):
        named = numbered(field_meaning(table, "protection").removeprefix("of the footer: "))
        assert named.items() <= expected.items()


def test_codecs() -> None:
    raw, zstd = field_meaning("PACK_ENTRY", "codec").split(", ")
    assert raw == f"{code.Codec.RAW.value} raw"
    assert zstd.startswith(f"{code.Codec.ZSTD.value} one zstd frame")


def test_magics_and_version() -> None:
    assert field_meaning("ENVELOPE", "magic") == f"`{code.ENVELOPE_MAGIC.decode()}`"
    assert field_meaning("PACK_TRAILER", "magic") == f"`{code.PACK_MAGIC.decode()}`"
    for table in ("ENVELOPE", "PACK_TRAILER"):
        assert field_meaning(table, "version") == str(code.FORMAT_VERSION)
    assert TEXT.startswith(f"# The repository format, version {code.FORMAT_VERSION}\n")


def test_sizes_in_the_prose() -> None:
    assert f"the ids of {code.SEGMENT_CHUNKS} consecutive chunks" in TEXT
    assert f"| zero id | {len(code.ZERO_ID)} zero bytes" in TEXT
    assert f"add {TAG_SIZE} bytes each" in TEXT
    mebibytes = code.PACK_TARGET >> 20
    assert f"A pack is closed at {mebibytes} MiB or {code.PACK_BLOBS} blobs." in TEXT
    low, high = code.CHUNK_SIZE_MIN >> 10, code.CHUNK_SIZE_MAX >> 20
    assert f"a power of two from {low} KiB to {high} MiB" in TEXT


def test_folders() -> None:
    for folder in (
        layout.CONFIG, layout.KEYS, layout.PACKS, layout.INDEX,
        layout.LEASES, layout.COLLECTIONS, layout.DAMAGE, layout.PRUNED,
    ):  # fmt: skip
        assert re.search(rf"^{re.escape(folder)}\b", TEXT, re.MULTILINE), folder


def test_methods_of_slots() -> None:
    section = TEXT[TEXT.index("| method | wrapping |") : TEXT.index("Recipients and identities")]
    methods = re.findall(r"^\| (\w+) \|", section, re.MULTILINE)
    assert methods == ["method", PASSPHRASE, KEY_FILE, RECIPIENT]
