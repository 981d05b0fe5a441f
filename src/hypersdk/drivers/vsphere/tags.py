"""Tags and marks of ours in a virtual machine's advanced settings (``extraConfig``).

vSphere keeps them with the machine on hosts as well as under a vCenter, copies them to clones and
brings them back with snapshots. A setting whose value is empty is removed, and keys are written to
a text file, so both are escaped as in URLs: ``hypersdk.tag.a%3Db = one two``. The value ``%`` alone
stands for an empty one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from pyVmomi import vim

_PREFIX = "hypersdk."
_TAG = f"{_PREFIX}tag."
#: Says that HyperSDK made the machine.
OWNED = f"{_PREFIX}owned"
#: Room for hotplug that was asked for when the machine was made: a number, and bytes.
VCPUS_MAXIMUM = f"{_PREFIX}vcpus-maximum"
MEMORY_MAXIMUM = f"{_PREFIX}memory-maximum"
_EMPTY = "%"
#: What may stand in a value as it is.
_PLAIN = " !$&'()*+,-./:;<=>?@[]^_{}~"


def option(key: str, value: str) -> Any:
    """A setting as an operation takes it; an empty value removes it."""
    return vim.option.OptionValue(key=key, value=value)


def tag_options(tags: Mapping[str, str]) -> list[Any]:
    """Settings that hold these tags."""
    return [
        option(_TAG + quote(str(name), safe=""), quote(str(value), safe=_PLAIN) or _EMPTY)
        for name, value in tags.items()
    ]


def mark_options() -> list[Any]:
    """Settings that say that the machine is ours."""
    return [option(OWNED, "1")]


def settings(options: Iterable[Any] | None) -> dict[str, str]:
    """``config.extraConfig`` as texts."""
    return {found.key: str(found.value) for found in options or ()}


def tags_in(found: Mapping[str, str]) -> dict[str, str]:
    """Tags among the settings, in order of their names."""
    return {
        unquote(key.removeprefix(_TAG)): "" if value == _EMPTY else unquote(value)
        for key, value in sorted(found.items())
        if key.startswith(_TAG)
    }


def is_owned(found: Mapping[str, str]) -> bool:
    return found.get(OWNED) == "1"


def carried(found: Mapping[str, str]) -> list[Any]:
    """What a copy of the machine gets of ours: its tags and its room for hotplug, and our mark."""
    kept = {key: value for key, value in found.items() if key.startswith(_PREFIX)}
    return [option(key, value) for key, value in ({**kept, OWNED: "1"}).items()]
