"""What is remembered of one export, or of the attempt at one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from hypersdk.model.errors import InvalidInput
from hypersdk.observe.redact import redact_text

#: Bytes of an error's text.
_ERROR_MOST = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """One export, or the attempt at one."""

    #: When it began.
    timestamp: datetime
    vm_name: str
    vm_path: str = ""
    #: Kind of hypervisor, by its URL scheme: ``vsphere``.
    provider: str = ""
    format: str = ""
    output_dir: str = ""
    #: Bytes written.
    total_size: int = 0
    #: Seconds.
    duration: float = 0.0
    files_count: int = 0
    success: bool = True
    error_message: str = ""
    compressed: bool = False
    verified: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """For JSON, without secrets."""
        document = dataclasses.asdict(self)
        document["timestamp"] = self.timestamp.astimezone(UTC).isoformat()
        document["error_message"] = redact_text(self.error_message[:_ERROR_MOST])
        document["metadata"] = {
            name: redact_text(str(value)) for name, value in self.metadata.items()
        }
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Fields that a later version may have added are passed over. Raises InvalidInput."""
        values = {
            name: document[name] for name in (f.name for f in dataclasses.fields(cls))
            if name in document
        }  # fmt: skip
        try:
            values["timestamp"] = _time(values["timestamp"])
            record = cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"this is no record of an export: {error}") from error
        for name, kinds in _KINDS.items():
            if not isinstance(getattr(record, name), kinds):
                raise InvalidInput(f"this is no record of an export: '{name}' is not one")
        return record


#: Field → what its value must be; bool is an int in Python, and harmless here.
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("vm_name", "vm_path", "provider", "format", "output_dir", "error_message"), (str,)
    ),
    "total_size": (int,),
    "files_count": (int,),
    "duration": (int, float),
    **dict.fromkeys(("success", "compressed", "verified"), (bool,)),
    "metadata": (dict,),
}


def _time(text: Any) -> datetime:
    moment = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
