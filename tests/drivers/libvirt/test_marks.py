from __future__ import annotations

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.elements import document, element
from hypersdk.drivers.libvirt.marks import NAMESPACE, PREFIX, Marks, mark, marks, noted_in

FULL = Marks(
    made=True,
    folder="prod/web & <more>",
    template=True,
    seed="/a & b/<c>.iso",
    tags={"tier": "gold", "näme": '"x" & <y>'},
)


def test_marks_come_back() -> None:
    domain = element("domain")
    assert marks(domain) == Marks()
    for noted in (FULL, Marks(), FULL):
        mark(domain, noted)
        assert marks(translate.parsed(document(domain))) == noted
    assert len(domain.findall("metadata/*")) == 1


def test_notes_of_others_stay() -> None:
    domain = translate.parsed("<domain><metadata><x xmlns='urn:other'>y</x></metadata></domain>")
    mark(domain, FULL)
    assert domain.findtext("metadata/{urn:other}x") == "y"
    assert marks(domain) == FULL


def test_libvirt_keeps_them() -> None:
    connection = libvirt.open("test:///default")
    domain = connection.lookupByName("test")
    for noted in (FULL, Marks(tags={"a": "b"})):
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            document(noted.element(namespace="")),
            PREFIX,
            NAMESPACE,
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        )
        xml = translate.parsed(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        assert marks(xml) == noted
        kind, flags = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
        given = domain.metadata(kind, NAMESPACE, flags)
        assert noted_in(translate.parsed(given)) == noted
    connection.close()


def test_a_template_shows_among_the_tags() -> None:
    assert FULL.as_tags() == {**FULL.tags, "hypersdk:template": "yes"}
    assert Marks(tags={"a": "b"}).as_tags() == {"a": "b"}
