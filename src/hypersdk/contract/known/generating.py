"""Configuration files that the daemon writes for hyper2kvm."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked
from hypersdk.contract.known.base import OPTIONAL

#: What a line of a configuration may hold: no control characters.
LINE = r"^[^\x00-\x1f\x7f]*$"


class ConfigAsked(Asked):
    os_type: Literal["windows", "linux"]
    #: ``ubuntu-24``, ``windows-11`` …; see ``/config/templates``.
    os_flavor: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    #: Absolute paths.
    vmdk_path: str = Field(min_length=1, max_length=4096, pattern=LINE)
    output_dir: str = Field(min_length=1, max_length=4096, pattern=LINE)
    vm_name: str = Field(default="", max_length=255, pattern=LINE)
    flatten: bool = False
    compress: bool = False
    virtio_drivers: str = Field(default="", max_length=4096, pattern=LINE)
    libvirt_test: bool = False
    #: MiB; 0: 2048.
    memory: int = Field(default=2048, ge=0, le=1 << 24)
    #: 0: 2.
    vcpus: int = Field(default=2, ge=0, le=4096)
    uefi: bool = False
    generate_service: bool = False


class ConfigAnswer(Answer):
    config_yaml: str
    config_path: str
    service_file: str | None = OPTIONAL
    service_path: str | None = OPTIONAL


class ConfigTemplate(Answer):
    id: str
    name: str
    os_type: str
    description: str
    requires_virtio: bool | None = OPTIONAL
    requires_uefi: bool | None = OPTIONAL


class ConfigTemplatesAnswer(Answer):
    templates: list[ConfigTemplate]
    total: int
