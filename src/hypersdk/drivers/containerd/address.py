"""Which containerd, which of its namespaces and snapshotters, and where logs and volumes go."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from hypersdk.model.errors import InvalidInput

SCHEME = "containerd"
#: Where containerd listens unless its configuration says otherwise.
SOCKET = "/run/containerd/containerd.sock"
#: What ``ctr`` and nerdctl use when nobody names another.
NAMESPACE = "default"
#: Logs and volumes; they outlive a restart of the machine, as containers do.
FOLDER = "/var/lib/hypersdk/containerd"
_FIELDS = ("namespace", "snapshotter", "folder")
#: containerd's rule for names of namespaces and containers, and its longest one.
IDENTIFIER = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*", re.ASCII)
IDENTIFIER_MAX = 76
_EXAMPLE = f"Write {SCHEME}://{SOCKET}?namespace={NAMESPACE}"


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL names."""

    #: Path of containerd's socket.
    socket: str = SOCKET
    namespace: str = NAMESPACE
    folder: str = FOLDER
    #: Empty: the best that works.
    snapshotter: str = ""

    @classmethod
    def parsed(cls, url: str) -> Address:
        """``containerd://``, ``containerd:///path/to.sock?namespace=lab&folder=/srv/lab``.

        Raises InvalidInput.
        """
        parts = urlsplit(url)
        if parts.scheme != SCHEME or parts.netloc or parts.fragment:
            raise InvalidInput(
                f"'{url}' does not name a socket of containerd",
                hint=f"{_EXAMPLE}; it is reached on its own machine only.",
            )
        fields = dict(parse_qsl(parts.query, keep_blank_values=True))
        for name in fields:
            if name not in _FIELDS:
                near = difflib.get_close_matches(name, _FIELDS, n=1)
                raise InvalidInput(
                    f"a containerd URL has no field '{name}'",
                    hint=f"Did you mean {near[0]}?" if near else f"It has {', '.join(_FIELDS)}.",
                )
        namespace = fields.get("namespace", NAMESPACE)
        if not is_identifier(namespace):
            raise InvalidInput(f"'{namespace}' is no name of a namespace", hint=_EXAMPLE)
        folder = fields.get("folder", FOLDER)
        if not folder.startswith("/"):
            raise InvalidInput(
                f"the folder '{folder}' is no absolute path", hint=f"{_EXAMPLE}&folder={FOLDER}"
            )
        path = unquote(parts.path).rstrip("/") or SOCKET
        return cls(path, namespace, folder.rstrip("/"), fields.get("snapshotter", ""))

    def __str__(self) -> str:
        folder = "" if self.folder == FOLDER else f"&folder={quote(self.folder)}"
        snapshotter = f"&snapshotter={quote(self.snapshotter)}" if self.snapshotter else ""
        return f"{SCHEME}://{quote(self.socket)}?namespace={self.namespace}{snapshotter}{folder}"


def is_identifier(name: str) -> bool:
    """Whether containerd takes it as the name of a namespace or container."""
    return len(name) <= IDENTIFIER_MAX and IDENTIFIER.fullmatch(name) is not None
