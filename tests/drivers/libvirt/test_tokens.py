from __future__ import annotations

from dataclasses import replace

import pytest

from hypersdk.drivers.libvirt.disksources import DiskSource
from hypersdk.drivers.libvirt.tokens import Moment, Token, number

DISK = DiskSource("vda", "/images/a.qcow2", "qcow2", False, ("/images/a.qcow2",), 1 << 30)


def test_own_names_never_come_twice() -> None:
    names = {Moment.new("hypersdk", ()).name for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("hypersdk.2") for name in names)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ((), "virtnbdbackup.0"),
        (("virtnbdbackup.0", "virtnbdbackup.9", "virtnbdbackup.10"), "virtnbdbackup.11"),
        (("virtnbdbackup", "virtnbdbackup.", "virtnbdbackup.x", "theirs.7"), "virtnbdbackup.0"),
        (("virtnbdbackup.٣", "virtnbdbackup.-1"), "virtnbdbackup.0"),
    ],
)
def test_other_series_are_numbered(taken: tuple[str, ...], expected: str) -> None:
    assert Moment.new("virtnbdbackup", taken).name == expected


def test_only_own_names_are_unique() -> None:
    assert Moment.new("hypersdk", ()).unique
    assert not Moment.new("virtnbdbackup", ()).unique
    assert not Moment("hypersdk.20260101T000000Z.abc", "def").unique


def test_number() -> None:
    assert number("v", "v.12") == 12
    assert number("v", "vv.12") == number("v", "v.1.2") == number("v", "v") == -1


def test_token_is_read_back() -> None:
    token = Token.of(Moment.new("hypersdk", ()), DISK)
    assert Token.parse(str(token)) == token
    assert token.moment.unique
    assert DISK.path not in str(token)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mock:7",
        "libvirt:",
        "libvirt:{}",
        "libvirt:[1]",
        'libvirt:{"checkpoint":"x"}',
        "libvirt",
    ],
)
def test_what_is_no_token(text: str) -> None:
    assert Token.parse(text) is None


def test_token_belongs_to_one_disk() -> None:
    token = Token.of(Moment.new("hypersdk", ()), DISK)
    assert token.mismatch(DISK) == ""
    resized = replace(DISK, size=2 << 30)
    assert token.mismatch(resized) == "the disk was resized from 1.0 GiB to 2.0 GiB"
    other = replace(DISK, path="/b", chain=("/b",))
    assert "moved or replaced" in token.mismatch(other)
    # A snapshot put another image on top of it.
    assert token.mismatch(replace(other, chain=("/b", DISK.path))) == ""
