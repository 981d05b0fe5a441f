from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import pycdlib
import pytest

from hypersdk.drivers.libvirt.cloudinit import reissued, seed_image
from hypersdk.model.specs import CloudInit


def files(image: bytes) -> dict[str, str]:
    """What a guest would read, by Rock Ridge names."""
    seed = pycdlib.PyCdlib()
    seed.open_fp(io.BytesIO(image))
    assert seed.pvd.volume_identifier.strip() == b"cidata"
    found = {}
    for child in seed.list_children(rr_path="/"):
        if child.is_file():
            name = child.rock_ridge.name().decode()
            content = io.BytesIO()
            seed.get_file_from_iso_fp(content, rr_path=f"/{name}")
            found[name] = content.getvalue().decode()
    seed.close()
    return found


def test_fields_become_documents() -> None:
    settings = CloudInit(hostname="web-1", user="änne", ssh_keys=("ssh-ed25519 AAAA a@b",))
    found = files(seed_image(settings, "web", "id-1"))
    assert json.loads(found["meta-data"]) == {"instance-id": "id-1", "local-hostname": "web-1"}
    header, _, body = found["user-data"].partition("\n")
    assert header == "#cloud-config"
    (user,) = json.loads(body)["users"]
    assert user["name"] == "änne"
    assert user["ssh_authorized_keys"] == ["ssh-ed25519 AAAA a@b"]
    assert set(found) == {"meta-data", "user-data"}


def test_keys_without_a_user_are_for_the_users_of_the_image() -> None:
    found = files(seed_image(CloudInit(ssh_keys=("k",)), "web", "id"))
    assert json.loads(found["user-data"].partition("\n")[2]) == {"ssh_authorized_keys": ["k"]}


def test_whole_documents_are_kept_byte_for_byte() -> None:
    user, network = "#!/bin/sh\necho 'hi' & \"x\"\n", "version: 2\nethernets: {}\n"
    settings = CloudInit(user="ignored", user_data=user, network_config=network)
    found = files(seed_image(settings, "web", "id"))
    assert found["user-data"] == user
    assert found["network-config"] == network
    assert json.loads(found["meta-data"])["local-hostname"] == "web"


@pytest.mark.parametrize(("hostname", "after"), [("", "copy"), ("fixed", "fixed")])
def test_a_clone_is_a_machine_that_never_booted(hostname: str, after: str) -> None:
    settings = CloudInit(hostname=hostname, user_data="#cloud-config\n", network_config="x: 1")
    before = seed_image(settings, "web", "id-1")
    found = files(reissued(before, "id-2", ("web", "copy")))
    assert json.loads(found["meta-data"]) == {"instance-id": "id-2", "local-hostname": after}
    assert {**found, "meta-data": ""} == {**files(before), "meta-data": ""}


def test_other_programs_know_the_label(tmp_path: Path) -> None:
    if shutil.which("blkid") is None:
        pytest.skip("needs blkid")
    image = tmp_path / "seed.iso"
    image.write_bytes(seed_image(CloudInit(), "web", "id"))
    said = subprocess.check_output(["blkid", "-p", "-o", "export", image], text=True)
    assert "LABEL=cidata\n" in said
    assert "TYPE=iso9660\n" in said
