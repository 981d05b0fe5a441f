"""Connections to machines with SSH whose identity is known.

A host is known by ``~/.ssh/known_hosts`` and ``/etc/ssh/ssh_known_hosts``, or by the fingerprint in
the URL. One that is not known is refused with its fingerprint and what to type; one whose key
changed is refused. ``~/.ssh/config`` is not read.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import hmac
import socket
from dataclasses import dataclass
from pathlib import Path

import paramiko

from hypersdk.config.secrets import SecretReference, resolve
from hypersdk.model.errors import InvalidInput, StoreDenied, StoreUnavailable

PORT = 22
#: Seconds to connect, and for each step of getting in.
_TIMEOUT = 20
#: Seconds between signs of life, so that firewalls keep the connection.
_KEEP_ALIVE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAddress:
    """Where, who, and how the host is known. Holds no secret."""

    host: str
    #: As the machine there knows it: absolute, or relative to the user's home.
    folder: str
    port: int = PORT
    user: str = ""
    #: Private key; None: the agent's, and those in ``~/.ssh``.
    key: Path | None = None
    #: Of the user, or of the key.
    password: SecretReference | None = None
    #: ``SHA256:…`` as ssh shows it; empty: ``known_hosts`` decides.
    fingerprint: str = ""

    def __str__(self) -> str:
        port = "" if self.port == PORT else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        folder = self.folder if self.folder.startswith("/") else f"/~/{self.folder}"
        return f"sftp://{user}{host}{port}{folder}".rstrip("/")


def connect(address: SshAddress) -> paramiko.SSHClient:
    """A connection, logged in. Raises StoreDenied, StoreUnavailable, InvalidInput."""
    client = paramiko.SSHClient()
    policy = _Unknown(address)
    client.set_missing_host_key_policy(policy)
    if not address.fingerprint:
        _load_known_hosts(client)
    password = None if address.password is None else resolve(address.password)
    where = f"{address.host}:{address.port}"
    try:
        client.connect(
            address.host,
            address.port,
            username=address.user or getpass.getuser(),
            password=password,
            key_filename=None if address.key is None else str(address.key),
            look_for_keys=address.key is None,
            timeout=_TIMEOUT,
            banner_timeout=_TIMEOUT,
            auth_timeout=_TIMEOUT,
        )
    except paramiko.BadHostKeyException as error:
        raise StoreDenied(
            f"the key of {where} is another one than before: {fingerprint(error.key)}",
            hint="If it was changed on purpose, remove the old one: ssh-keygen -R "
            f"{known_name(address)} and connect again; else somebody is in between.",
        ) from error
    except paramiko.PasswordRequiredException as error:
        raise _no_entry(address, "the key has a passphrase") from error
    except paramiko.AuthenticationException as error:
        raise _no_entry(address, "the server did not accept who we are") from error
    except FileNotFoundError as error:
        raise InvalidInput(f"there is no key file {address.key}") from error
    except (paramiko.SSHException, OSError, EOFError, socket.gaierror) as error:
        if policy.refusal is not None:
            raise policy.refusal from None
        if "No authentication methods" in str(error):
            raise _no_entry(address, "there is no key and no password to try") from error
        raise StoreUnavailable(
            f"no connection to {where}: {error or type(error).__name__}",
            hint="Check the host, the port and that sshd runs there.",
        ) from error
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(_KEEP_ALIVE)
    return client


def fingerprint(key: paramiko.PKey) -> str:
    """As ssh shows it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def known_name(address: SshAddress) -> str:
    """How ``known_hosts`` calls a host."""
    return address.host if address.port == PORT else f"[{address.host}]:{address.port}"


class _Unknown(paramiko.MissingHostKeyPolicy):
    """Decides about a host that ``known_hosts`` does not have."""

    def __init__(self, address: SshAddress) -> None:
        self._address = address
        #: Why it was refused; paramiko would wrap what is raised here.
        self.refusal: StoreDenied | None = None

    def missing_host_key(
        self,
        client: paramiko.SSHClient,  # noqa: ARG002 - the library's signature
        hostname: str,  # noqa: ARG002
        key: paramiko.PKey,
    ) -> None:
        found = fingerprint(key)
        pinned = self._address.fingerprint
        if pinned and hmac.compare_digest(pinned.encode(), found.encode()):
            return
        address = self._address
        where = f"{address.host}:{address.port}"
        if pinned:
            self.refusal = StoreDenied(
                f"the key of {where} is {found}, not the one in the URL",
                hint="If it was changed on purpose, correct the URL; else somebody is in between.",
            )
        else:
            self.refusal = StoreDenied(
                f"the host {where} is not known; its key is {found}",
                hint=f"Compare it with what its owner says, then type: ssh-keyscan -p "
                f"{address.port} {address.host} >> ~/.ssh/known_hosts, or add "
                f"?fingerprint={found} to the URL.",
            )
        raise paramiko.SSHException("unknown host")


def _load_known_hosts(client: paramiko.SSHClient) -> None:
    for path in (Path("/etc/ssh/ssh_known_hosts"), Path("~/.ssh/known_hosts").expanduser()):
        if path.is_file():
            try:
                client.load_system_host_keys(str(path))
            except (OSError, paramiko.SSHException) as error:
                raise InvalidInput(f"{path} cannot be read: {error}") from error


def _no_entry(address: SshAddress, reason: str) -> StoreDenied:
    return StoreDenied(
        f"cannot log in at {address.host}:{address.port}: {reason}",
        hint="Load a key into the agent (ssh-add), name one with ?key=PATH, or a password with "
        "?password-from=env:NAME.",
    )
