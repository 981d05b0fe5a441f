"""Where an engine listens, read from a URL.

::

    docker:///var/run/docker.sock
    docker://host:2376                 TLS; ca.pem, cert.pem and key.pem of ~/.docker
    docker://host:2376?certs=/folder   TLS; those of another folder
    docker://127.0.0.1:2375?tls=no     without TLS, on this host only
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from hypersdk.model.errors import InvalidInput, MissingRequirement

SCHEME = "docker"
TLS_PORT = 2376
#: As the docker command calls them.
_FILES = ("ca.pem", "cert.pem", "key.pem")
_HINT = "Write docker:///var/run/docker.sock or docker://HOST:2376"


@dataclass(frozen=True, slots=True)
class Address:
    """One engine. Either ``socket`` or ``host`` is empty."""

    url: str
    socket: str = ""
    host: str = ""
    port: int = 0
    #: Folder with the certificates; None: without TLS.
    certificates: Path | None = None

    @property
    def base_url(self) -> str:
        """As the SDK wants it."""
        if self.socket:
            return f"unix://{self.socket}"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificates else 'http'}://{name}:{self.port}"

    def certificate(self, name: str) -> str:
        assert self.certificates is not None
        return str(self.certificates / name)


def address(url: str) -> Address:
    """Raises InvalidInput, MissingRequirement for certificates that are not there."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        raise InvalidInput(
            f"'{url}' does not name a Docker engine",
            hint="For an engine behind ssh forward its socket: "
            "ssh -L /run/remote.sock:/var/run/docker.sock HOST, then docker:///run/remote.sock",
        )
    query = parse_qs(parts.query, keep_blank_values=True)
    if unknown := set(query) - {"certs", "tls"}:
        raise InvalidInput(f"'{url}' has an unknown field {min(unknown)}", hint=_HINT)
    if parts.hostname:
        return _remote(url, parts, {name: values[-1] for name, values in query.items()})
    path = unquote(parts.path)
    if not path.startswith("/") or path == "/" or query:
        raise InvalidInput(f"'{url}' does not name a Docker engine", hint=_HINT)
    return Address(f"{SCHEME}://{quote(path)}", socket=path)


def _remote(url: str, parts: SplitResult, query: dict[str, str]) -> Address:
    host = parts.hostname or ""
    try:
        port = parts.port or TLS_PORT
    except ValueError as error:
        raise InvalidInput(f"'{url}': {error}", hint=_HINT) from error
    if parts.path.strip("/") or parts.username:
        raise InvalidInput(f"'{url}' does not name a Docker engine", hint=_HINT)
    if query.get("tls", "yes") == "no":
        if not _loopback(host):
            raise InvalidInput(
                f"'{url}' asks for a connection without TLS to another host",
                hint="Whoever reaches such a port is root there. Set the engine up with TLS: "
                "https://docs.docker.com/engine/security/protect-access/",
            )
        return Address(url, host=host, port=port)
    folder = Path(query.get("certs") or Path.home() / ".docker")
    if missing := [name for name in _FILES if not (folder / name).is_file()]:
        raise MissingRequirement(
            f"a connection to {host} needs {', '.join(missing)} in {folder}",
            hint=f"Put them there, or name another folder: docker://{host}:{port}?certs=FOLDER",
        )
    return Address(url, host=host, port=port, certificates=folder)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
