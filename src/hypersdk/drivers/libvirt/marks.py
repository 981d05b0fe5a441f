"""What we note in a domain's ``<metadata>``. libvirt keeps it and gives it no meaning. ::

<metadata>
  <hypersdk:instance xmlns:hypersdk="https://hypersdk.dev/xmlns/libvirt/1">
    <hypersdk:made/>
    <hypersdk:folder path="prod/web"/>
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

    #: Made by us. A domain of others may have notes of ours too: that it is a template.
    made: bool = False
    #: Where people look for it: ``prod/web``.
    folder: str = ""
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
        for tag, noted in (("made", self.made), ("template", self.template)):
            if noted:
                root.append(Element(_name(tag, namespace)))
        if self.folder:
            root.append(Element(_name("folder", namespace), path=self.folder))
        if self.seed:
            root.append(Element(_name("seed", namespace), path=self.seed))
        for name, value in self.tags.items():
            root.append(Element(_name("tag", namespace), name=name, value=value))
        return root


_NONE = Marks()
_INSTANCE = f"{{{NAMESPACE}}}instance"


def marks(domain: Element) -> Marks:
    """The notes in a domain's XML; none is no error."""
    metadata = domain.find("metadata")
    root = None if metadata is None else metadata.find(_INSTANCE)
    return _NONE if root is None else noted_in(root)


def noted_in(root: Element) -> Marks:
    """The notes in our element, in our namespace or, as ``virDomainGetMetadata`` says it, none."""
    namespace = NAMESPACE if root.tag.startswith("{") else ""

    def path(tag: str) -> str:
        found = root.find(_name(tag, namespace))
        return "" if found is None else found.get("path", "")

    return Marks(
        made=root.find(_name("made", namespace)) is not None,
        template=root.find(_name("template", namespace)) is not None,
        folder=path("folder"),
        seed=path("seed"),
        tags={
            tag.get("name", ""): tag.get("value", "")
            for tag in root.iterfind(_name("tag", namespace))
        },
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
