"""Values that several sections share: sizes, rates, references, absolute paths."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from hypersdk.config.secrets import SecretReference
from hypersdk.model.errors import InvalidInput
from hypersdk.model.units import parse_rate, parse_size

#: Of hypervisors, repositories, webhooks and tenants: safe in paths and on command lines.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Section(BaseModel):
    """A part of the settings. Unknown keys are errors, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _size(value: Any) -> Any:
    return _measured(parse_size, value)


def _rate(value: Any) -> Any:
    return _measured(parse_rate, value)


def _measured(parse: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except InvalidInput as error:
        raise ValueError(f"not what is expected here. {error.hint}") from None


def _reference(value: str) -> str:
    if value:
        try:
            SecretReference.parse(value)
        except InvalidInput as error:
            raise ValueError(f"{error.message}. {error.hint}") from None
    return value


def _absolute(value: Path) -> Path:
    return Path(os.path.abspath(value.expanduser()))


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("a name has letters, digits, '.', '_' and '-', 128 at most")
    return value


#: Bytes; ``10MiB`` is understood.
Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
#: Bytes per second; ``100MiB/s`` is understood.
Rate = Annotated[int, BeforeValidator(_rate), Field(ge=1)]
#: Where a secret is; empty: there is none.
Reference = Annotated[str, AfterValidator(_reference)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Name = Annotated[str, AfterValidator(_name)]
Seconds = Annotated[float, Field(gt=0)]
