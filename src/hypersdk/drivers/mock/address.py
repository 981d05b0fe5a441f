"""What a URL says: ``mock:///absolute/path?profile=standard``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.configfile import configured
from hypersdk.model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Address:
    """A mock hypervisor as somebody named it."""

    path: Path
    config: Config
    #: What is behind the ``?``, as it was written.
    query: str

    @classmethod
    def of(cls, url: str) -> Address:
        """``%20`` is a space. Raises InvalidInput."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.scheme != "mock" or parts.netloc or parts.fragment or not path.is_absolute():
            raise InvalidInput(
                f"'{url}' does not name a folder",
                hint="Write mock:///absolute/path, with three slashes.",
            )
        query = parse_qsl(parts.query, keep_blank_values=True)
        return cls(path, configured(path, query), parts.query)
