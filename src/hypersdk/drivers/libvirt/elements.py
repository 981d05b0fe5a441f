"""XML for libvirt, built of elements, so that no name can break out of its place."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring


def element(tag: str, *children: Element, text: str = "", **attributes: str) -> Element:
    """``element("target", dev="vda")``; attributes that are empty are left out."""
    made = Element(tag, {name: value for name, value in attributes.items() if value})
    made.text = text or None
    made.extend(children)
    return made


def document(root: Element) -> str:
    """What libvirt's functions take."""
    return tostring(root, encoding="unicode")
