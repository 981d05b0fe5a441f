"""What a user can set for all commands: environment and file, read into one frozen record.

A value comes, first match, from the caller (a command's flag), from ``HYPERSDK_<NAME>``, from the
TOML file, from the default. The file is ``~/.config/hypersdk/config.toml`` (or where
``XDG_CONFIG_HOME`` says), or the one that ``HYPERSDK_CONFIG`` names::

    repository = "s3://backups/kvm"
    key = "file:/etc/hypersdk/passphrase"
    log_level = "warning"

    [hypervisors]
    lab = "libvirt+qemu:///system"
    edge = "docker:///var/run/docker.sock"
"""

from __future__ import annotations

import os
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from hypersdk.config.secrets import SecretReference
from hypersdk.model.errors import InvalidInput

PREFIX = "HYPERSDK_"
#: Names the file; not a setting, since it cannot stand in the file.
FILE_VARIABLE = "HYPERSDK_CONFIG"
#: How alike a variable's name must be to a setting's to be taken for a misspelt one. Variables
#: that are not alike may hold secrets (``env:HYPERSDK_PASSPHRASE``) and are left alone.
_ALIKE = 0.8
#: Of the daemon (`config.daemon.known`), as users of the original have them.
_OTHERS = frozenset({"HYPERSDK_BACKUP_DIR", "HYPERSDK_ISO_DIR"})
#: Of a hypervisor: it stands before a slash on command lines.
_NAME = re.compile(r"[\w.-]+")


class Settings(BaseSettings):
    """Every setting, with its meaning and default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    #: Where copies of repository indexes are kept. Can be deleted at any time.
    cache_dir: Path = Field(default_factory=lambda: platformdirs.user_cache_path("hypersdk"))
    #: Where backups of running guests keep what the guest overwrites meanwhile, and sockets. On a
    #: local file system that the hypervisor's user can reach.
    scratch_dir: Path = Path("/var/tmp")  # noqa: S108 - folders in it are made with mkdtemp
    #: The repository that commands use when none is given: a path or ``s3://bucket/prefix``.
    repository: str | None = None
    #: Reference to the secret that opens the repository, such as ``env:NAME``; see ``secrets``.
    key: str | None = None
    #: Key file that opens the repository.
    key_file: Path | None = None
    #: File with the X25519 identity that opens the repository.
    identity: Path | None = None
    #: What the log on stderr says at least.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: Threads that read, compress and encrypt; None: as many as the machine has processors.
    workers: int | None = Field(default=None, ge=1, le=256)
    #: Name → URL of the hypervisors that fleet commands work on when none is given; in the
    #: environment a JSON object.
    hypervisors: dict[str, str] = Field(default_factory=dict)

    @field_validator("cache_dir", "scratch_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return Path(os.path.abspath(value.expanduser()))

    @field_validator("hypervisors")
    @classmethod
    def _named_urls(cls, value: dict[str, str]) -> dict[str, str]:
        for name, url in value.items():
            if not _NAME.fullmatch(name):
                raise ValueError("a name has letters, digits, '.', '_' and '-' only")
            if "://" not in url:
                raise ValueError(f"{name} is no URL: write SCHEME://…")
        return value

    @field_validator("key")
    @classmethod
    def _reference_only(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                SecretReference.parse(value)
            except InvalidInput as error:
                raise ValueError(f"{error.message}. {error.hint}") from None
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, toml_file=config_file())
        return init_settings, env_settings, file


def config_file() -> Path:
    """The settings file, whether it exists or not."""
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named).expanduser()
    return platformdirs.user_config_path("hypersdk") / "config.toml"


def load_settings(**given: Any) -> Settings:
    """The settings in force now; ``given`` (where not None) wins over environment and file.

    Raises InvalidInput for an unknown name, naming the nearest valid one, for a malformed value,
    and for a file that is not TOML or was named but is missing.
    """
    file = config_file()
    if os.environ.get(FILE_VARIABLE) and not file.is_file():
        raise InvalidInput(f"there is no settings file {file}, which {FILE_VARIABLE} names")
    _refuse_misspelt_variables()
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**chosen)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False)[0]
        raise _invalid(problem, file, set(chosen)) from None
    except SettingsError:
        # The library's message is about its own classes. Only this setting is read as JSON.
        raise InvalidInput(
            f"{PREFIX}HYPERVISORS is not JSON",
            hint=f"""Write it like {PREFIX}HYPERVISORS='{{"lab": "libvirt+qemu:///system"}}'.""",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error


def _refuse_misspelt_variables() -> None:
    known = {FILE_VARIABLE, *_OTHERS, *(PREFIX + name.upper() for name in Settings.model_fields)}
    for variable in sorted(set(os.environ) - known):
        near = get_close_matches(variable, known, n=1, cutoff=_ALIKE)
        if variable.startswith(PREFIX) and near:
            raise InvalidInput(
                f"unknown environment variable {variable}", hint=f"Did you mean {near[0]}?"
            )


def _invalid(problem: ErrorDetails, file: Path, given: set[str]) -> InvalidInput:
    """The error for a refused value or name. Never repeats the value: it may be a secret."""
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        known = sorted(Settings.model_fields)
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]}? " if near else ""
        where = "" if name in given else f"{file}: "
        return InvalidInput(
            f"{where}unknown setting {name}", hint=f"{meant}The settings are {', '.join(known)}."
        )
    if name in given:
        source = name
    elif os.environ.get(PREFIX + name.upper()):
        source = PREFIX + name.upper()
    else:
        source = f"{file}: {name}"
    return InvalidInput(f"{source}: {problem['msg'].removeprefix('Value error, ')}")
