from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hypersdk.api.known.generating import FLAVORS, argument, generate, quoted, specifiers
from hypersdk.contract.known.generating import ConfigAsked
from hypersdk.model.errors import InvalidInput
from tests.api.known.daemons import Known
from tests.components import require

#: What would break out of YAML, of a unit, of a shell.
HOSTILE = "/srv/a b'c\"d: [x] #y %h $HOME ${X} `id` \\ {z}"


def _asked(**fields: Any) -> ConfigAsked:
    return ConfigAsked.model_validate(
        {
            "os_type": "linux",
            "os_flavor": "ubuntu-24",
            "vmdk_path": "/srv/in/web.vmdk",
            "output_dir": "/srv/out",
            **fields,
        }
    )


def test_a_configuration_of_linux() -> None:
    found = generate(_asked(vm_name="Web 1", flatten=True, compress=True))
    settings = yaml.safe_load(found.config_yaml)
    assert settings["cmd"] == "local"
    assert settings["vmdk"] == "/srv/in/web.vmdk"
    assert settings["to_output"] == "web-1-fixed.qcow2"
    assert settings["flatten_format"] == "qcow2"
    assert settings["regen_initramfs"] is True
    assert "libvirt_test" not in settings
    assert found.config_path == "/srv/out/hyper2kvm-web-1.yaml"
    assert found.service_file is None


def test_a_configuration_of_windows() -> None:
    found = generate(
        _asked(
            os_type="windows", os_flavor="windows-11", virtio_drivers="/srv/virtio", uefi=True,
            libvirt_test=True, memory=0, vcpus=0,
        )
    )  # fmt: skip
    settings = yaml.safe_load(found.config_yaml)
    assert settings["virtio_drivers_dir"] == "/srv/virtio"
    assert settings["regen_initramfs"] is False
    assert settings["no_grub"] is True
    assert (settings["memory"], settings["vcpus"], settings["uefi"]) == (2048, 2, True)
    assert found.config_path == "/srv/out/hyper2kvm-windows-windows-11.yaml"


def test_nothing_breaks_out_of_the_yaml() -> None:
    settings = yaml.safe_load(
        generate(_asked(vmdk_path=HOSTILE, output_dir=HOSTILE, vm_name="x'\": #")).config_yaml
    )
    assert settings["vmdk"] == HOSTILE
    assert settings["output_dir"] == HOSTILE
    assert settings["to_output"] == "x-fixed.qcow2"


def test_comments_hold_one_shell_word() -> None:
    found = generate(_asked(output_dir=HOSTILE))
    line = found.config_yaml.splitlines()[1]
    assert shlex.split(line.removeprefix("# Run it: ")) == [
        "hyper2kvm", "--config", found.config_path,
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["a\nExecStart=/bin/sh", "a\0b", "a\x1b[0m", "a\r"])
@pytest.mark.parametrize("field", ["vm_name", "vmdk_path", "output_dir", "virtio_drivers"])
def test_no_value_holds_another_line(known: Known, field: str, value: str) -> None:
    body = {
        "os_type": "linux", "os_flavor": "debian-12", "vmdk_path": "/a", "output_dir": "/b",
        field: f"/{value}",
    }  # fmt: skip
    assert field in known.refused("POST", "/config/generate", body, status=400)["error"]


def test_values_of_a_unit_are_escaped() -> None:
    assert specifiers("100%\\") == "100%%"
    assert quoted('a "b" \\ %h') == '"a \\"b\\" \\\\ %%h"'
    assert argument("$HOME") == '"$$HOME"'


def test_systemd_itself_accepts_the_unit(tmp_path: Path) -> None:
    require("systemd-analyze")
    folder = tmp_path / "a b'c\"d %h $HOME [x]"
    folder.mkdir()
    program = tmp_path / "hyper2kvm"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = generate(_asked(output_dir=str(folder), vm_name="web %i \\", generate_service=True))
    assert found.service_file is not None
    assert found.service_path == "/etc/systemd/system/hyper2kvm-web-i.service"
    # A program that is not installed is no matter of the unit's syntax.
    unit = found.service_file.replace("ExecStart=hyper2kvm", f"ExecStart={program}")
    path = tmp_path / "hyper2kvm-web.service"
    path.write_text(unit)
    done = subprocess.run(
        [str(shutil.which("systemd-analyze")), "verify", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    mine = [line for line in done.stderr.splitlines() if "hyper2kvm-web" in line]
    assert mine == [], done.stderr


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"vmdk_path": "relative.vmdk"}, "vmdk_path"),
        ({"output_dir": "out"}, "output_dir"),
        ({"os_type": "windows"}, "ubuntu-24 is linux"),
        ({"os_flavor": "ubuntu-25"}, "ubuntu-25"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        generate(_asked(**fields))


def test_a_flavor_that_is_like_no_other_is_taken() -> None:
    assert "gentoo" in generate(_asked(os_flavor="gentoo")).config_yaml


def test_the_routes(known: Known) -> None:
    body = {
        "os_type": "linux", "os_flavor": "debian-12", "vmdk_path": "/a.vmdk", "output_dir": "/b",
        "vm_name": "web", "generate_service": True,
    }  # fmt: skip
    found = known.post("/config/generate", body)
    assert set(found) == {"config_yaml", "config_path", "service_file", "service_path"}
    assert "ExecStart=hyper2kvm --config" in found["service_file"]
    plain = known.post("/config/generate", {**body, "generate_service": False})
    assert set(plain) == {"config_yaml", "config_path"}
    templates = known.get("/config/templates")
    assert set(templates) == {"templates", "total"}
    assert [each["id"] for each in templates["templates"]] == list(FLAVORS)
    eleven = next(each for each in templates["templates"] if each["id"] == "windows-11")
    assert set(eleven) == {
        "id", "name", "os_type", "description", "requires_virtio", "requires_uefi",
    }  # fmt: skip
    assert set(templates["templates"][-1]) == {"id", "name", "os_type", "description"}
    error = known.refused("POST", "/config/generate", {**body, "vmname": "x"}, status=400)
    assert "vm_name" in error["error"]
