"""XML of strangers, read within bounds.

Four MiB of ``<a>`` would become half a gigabyte of elements, and a number of five thousand digits
an error of Python's own: what a descriptor can have is bounded before anything is made of it.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from hypersdk.model.errors import InvalidInput

#: Bytes. vCenter's longest descriptors have some hundred KiB.
MOST = 4 << 20
#: Bytes of a disk or of memory; vSphere's largest disks have 62 TiB.
LARGEST = 64 << 40
_MOST_ELEMENTS = 100_000
_MOST_DEPTH = 64
_MOST_ATTRIBUTES = 64

_POWER = re.compile(r"([0-9]{1,2})\s*\^\s*([0-9]{1,2})")
_WORDS = {"byte": 1, "bytes": 1, "kilobyte": 1 << 10, "kilobytes": 1 << 10, "kb": 1 << 10,
          "megabyte": 1 << 20, "megabytes": 1 << 20, "mb": 1 << 20,
          "gigabyte": 1 << 30, "gigabytes": 1 << 30, "gb": 1 << 30}  # fmt: skip


def parse_xml(content: bytes) -> Element:
    """The root of a document. Raises InvalidInput for what is no XML, or hostile."""
    if len(content) > MOST:
        raise InvalidInput(f"an OVF descriptor of {len(content)} bytes is not plausible")
    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True)
    try:
        parser.feed(content)
        return parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InvalidInput(f"this is no OVF descriptor: {error}") from error


def number(text: str, otherwise: int) -> int:
    """Digits as a number; anything else, and more digits than any amount has, as ``otherwise``."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else otherwise


def unit(text: str) -> int:
    """``byte * 2^20`` and ``MegaBytes`` → bytes. Raises InvalidInput."""
    factor = 1
    for word in (part.strip() for part in text[:200].lower().split("*")):
        power = _POWER.fullmatch(word)
        if power and int(power[1]) in (2, 10) and int(power[2]) <= 60:
            factor *= int(power[1]) ** int(power[2])
        elif word in _WORDS:
            factor *= _WORDS[word]
        elif number(word, 0):
            factor *= number(word, 0)
        else:
            factor = 0
        if not 0 < factor <= LARGEST:
            raise InvalidInput(f"'{text[:40]}' is not a unit of memory or disks")
    return factor


def amount(text: str, unit_text: str, what: str) -> int:
    """Bytes. Raises InvalidInput for what is no number, or more than there can be."""
    count = number(text, -1)
    if count < 0:
        raise InvalidInput(f"{what} has no capacity but '{text[:40]}'")
    size = count * unit(unit_text)
    if size > LARGEST:
        raise InvalidInput(f"{what} claims to have {size} bytes")
    return size


class _Bounded(TreeBuilder):
    """Builds a tree that stays small. Raises InvalidInput."""

    def __init__(self) -> None:
        super().__init__()
        self._count = self._depth = 0

    def start(self, tag: Any, attributes: Any, /) -> Element:
        self._count += 1
        self._depth += 1
        if (
            self._count > _MOST_ELEMENTS
            or self._depth > _MOST_DEPTH
            or len(attributes) > _MOST_ATTRIBUTES
        ):
            raise InvalidInput(
                "this is no OVF descriptor: it has too many elements, levels or attributes",
                hint="Do not trust where it came from.",
            )
        return super().start(tag, attributes)

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)
