from __future__ import annotations

import json
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import libvirt
import pytest

from hypersdk.drivers.libvirt.guestfiles import definition, guest_files, not_saved
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.instances import Purpose
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab


def booting(**files: Path) -> Element:
    xml = Element("domain")
    os = SubElement(xml, "os")
    for name, path in files.items():
        SubElement(os, name).text = str(path)
    return xml


def test_files_that_are_there(tmp_path: Path) -> None:
    kernel, nvram = tmp_path / "a kernel", tmp_path / "vars"
    kernel.write_bytes(b"k" * 1000)
    nvram.write_bytes(b"n" * 512)
    found = list(guest_files(booting(kernel=kernel, nvram=nvram, initrd=tmp_path / "none")))
    assert [(file.purpose, file.path) for file in found] == [
        (Purpose.NVRAM, nvram),
        (Purpose.KERNEL, kernel),
    ]
    disk = found[1].disk()
    assert (disk.name, disk.size, disk.format) == ("kernel", 1000, "raw")


def test_no_files() -> None:
    assert list(guest_files(Element("domain"))) == []
    assert list(guest_files(booting(kernel=Path("/")))) == []


@pytest.mark.parametrize(
    ("device", "word"),
    [
        ("<tpm><backend type='emulator'/></tpm>", "BitLocker"),
        ("<tpm><backend type='passthrough'/></tpm>", "host's own"),
        ("<hostdev/>", "passed through"),
        ("<filesystem/>", "folders of the host"),
    ],
)
def test_what_is_not_saved_is_said(device: str, word: str) -> None:
    [line] = not_saved(parsed(f"<domain><devices>{device}</devices></domain>"))
    assert word in line
    assert not_saved(parsed("<domain><devices><disk/></devices></domain>")) == []


def test_definition(lab: Lab) -> None:
    xml = domain_xml("we b").replace("type='vnc'", "type='vnc' passwd='pa&amp;ss'")
    xml = xml.replace('type="vnc"', 'type="vnc" passwd="pa&amp;ss"')
    domain = lab.connection.defineXML(xml)
    content = json.loads(definition(domain).content)
    assert "pa&amp;ss" in content["inactive"]
    assert (content["live"], content["autostart"]) == (None, False)
    domain.setAutostart(1)
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    content = json.loads(definition(domain).content)
    assert content["autostart"]
    assert parsed(content["live"]).findtext("name") == "we b"
    assert "pa&amp;ss" in content["live"]
    assert "<alias" not in content["inactive"]
