"""What we note in a domain's ``<metadata>``. libvirt keeps it and gives it no meaning. ::

<metadata>
  <hypersdk:instance xmlns:hypersdk="https://hypersdk.dev/xmlns/libvirt/1">
    <hypersdk:template/>
    <hypersdk:seed path="/var/lib/libvirt/images/web-seed.iso"/>
    <hypersdk:tag name="tier" value="gold"/>
  </hypersdk:instance>
</metadata>
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, register_namespace

NAMESPACE = "https://hypersdk.dev/xmlns/libvirt/1"
PREFIX = "hypersdk"

register_namespace(PREFIX, NAMESPACE)


@dataclass(frozen=True, slots=True)
class Marks:
    """Our notes about one domain."""

    #: It is there to be cloned, and must not be started.
    template: bool = False
    #: Path of the cloud-init image that was made for it; it goes with the domain.
    seed: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def as_tags(self) -> dict[str, str]:
        """The tags, and ``hypersdk:template`` for a template."""
        return {**self.tags, **({f"{PREFIX}:template": "yes"} if self.template else {})}

    def element(self, namespace: str = NAMESPACE) -> Element:
        """``namespace``: empty for ``virDomainSetMetadata``, which puts it in by itself."""
        root = Element(_name("instance", namespace))
        if self.template:
            root.append(Element(_name("template", namespace)))
        if self.seed:
            root.append(Element(_name("seed", namespace), path=self.seed))
        for name, value in self.tags.items():
            root.append(Element(_name("tag", namespace), name=name, value=value))
        return root


def marks(domain: Element) -> Marks:
    """The notes in a domain's XML; none is no error."""
    root = domain.find(f"metadata/{_name('instance')}")
    if root is None:
        return Marks()
    seed = root.find(_name("seed"))
    return Marks(
        template=root.find(_name("template")) is not None,
        seed="" if seed is None else seed.get("path", ""),
        tags={tag.get("name", ""): tag.get("value", "") for tag in root.iterfind(_name("tag"))},
    )


def mark(domain: Element, noted: Marks) -> None:
    """Put ``noted`` into a domain's XML in place of what we noted before."""
    metadata = domain.find("metadata")
    if metadata is None:
        metadata = Element("metadata")
        domain.append(metadata)
    for old in metadata.findall(_name("instance")):
        metadata.remove(old)
    metadata.append(noted.element())


def _name(tag: str, namespace: str = NAMESPACE) -> str:
    return f"{{{namespace}}}{tag}" if namespace else tag
