"""One engine. The SDK connects when it has something to say, anew after it was lost."""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, TypeAlias

import docker
import docker.tls
from docker.errors import APIError, NotFound

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.docker import marks
from hypersdk.drivers.docker.address import Address
from hypersdk.drivers.docker.errors import native, refused
from hypersdk.drivers.docker.transport import PREFIX, UnixAdapter, engine_version
from hypersdk.model.errors import HypervisorUnreachable, InstanceNotFound, MissingRequirement

#: An object of the engine's JSON.
Json: TypeAlias = dict[str, Any]

#: Seconds in which the engine answers.
ANSWER_SECONDS = 30
#: API of Docker 20.10, the oldest that this driver was tried with.
OLDEST_API = "1.41"
#: Names and ids of containers, and our own ids.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_SEE = "See what there is: docker ps --all"
#: Connections that are kept; each thread at work needs one.
_CONNECTIONS = 64
#: Bytes of a stream handed on at once.
_PIECE = 1 << 20


class Connection:
    """May be used by any number of threads."""

    def __init__(self, address: Address) -> None:
        """Raises HypervisorUnreachable, HypervisorDenied, MissingRequirement."""
        self.address = address
        with native(f"connect to {address.url}"):
            self._client = _client(address)
        # What it would look up in the environment for each call: proxies, passwords.
        self._client.trust_env = False
        self._closed = False
        if _number(self._client.api_version) < _number(OLDEST_API):
            self._client.close()
            raise MissingRequirement(
                f"the engine at {address.url} speaks API {self._client.api_version}",
                hint=f"API {OLDEST_API} is needed: Docker 20.10 or later.",
            )

    @property
    def url(self) -> str:
        return self.address.url

    @property
    def client(self) -> docker.APIClient:
        """Calls of it belong into a ``native`` block."""
        if self._closed:
            raise HypervisorUnreachable(f"the connection to {self.url} was closed")
        return self._client

    def find(self, name: str) -> Json:
        """Docker's description of the container of this name or id. Raises InstanceNotFound.

        Docker takes the beginning of an id as well, which we do not: "ab" may be an instance that
        is gone, and the beginning of another one's id.
        """
        with native(f"find '{name}' on {self.url}"):
            # Others would lead to other places of the API, and nothing is called so.
            if not _NAME.fullmatch(name):
                raise InstanceNotFound(f"no instance '{name}' on {self.url}", hint=_SEE)
            try:
                found: Json = self.client.inspect_container(name)
            except NotFound:
                return self._by_mark(name)
            except APIError as error:
                if error.status_code == 400 or "multiple ids" in str(error).lower():
                    return self._by_mark(name)
                raise
            if name in (found["Name"].removeprefix("/"), found["Id"]):
                return found
            return self._by_mark(name)

    def _by_mark(self, name: str) -> Json:
        for row in self.client.containers(all=True, filters={"label": f"{marks.IDENTITY}={name}"}):
            return dict(self.client.inspect_container(row["Id"]))
        raise InstanceNotFound(f"no instance '{name}' on {self.url}", hint=_SEE)

    def image(self, name: str) -> Json:
        """Docker's description of an image. In a ``native`` block."""
        return dict(self.client.inspect_image(name))  # type: ignore[no-untyped-call]

    def make(self, config: Json, name: str) -> str:
        """Make a container; its id. In a ``native`` block."""
        made = self.client.create_container_from_config(config, name)  # type: ignore[no-untyped-call]
        return str(made["Id"])

    def post(
        self, path: str, *, doing: str, seconds: float = ANSWER_SECONDS, **more: Any
    ) -> Json | None:
        """For what the SDK lacks. ``more``: as `requests` takes it. Raises ours."""
        with native(doing):
            answer = self.client.post(self.endpoint(path), timeout=seconds, **more)
            if not answer.ok:
                raise refused(answer.status_code, said(answer.text), doing)
            return answer.json() if answer.content else None

    def stream(
        self, endpoint: str, *, doing: str, params: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """An answer as it comes. No piece may take longer than an answer; obeys the token."""
        with (
            native(doing),
            closing(
                self.client.get(
                    self.endpoint(endpoint), params=params, stream=True, timeout=ANSWER_SECONDS
                )
            ) as answer,
        ):
            if not answer.ok:
                raise refused(answer.status_code, said(answer.text), doing)
            for piece in answer.iter_content(_PIECE):
                token_in_force().check()
                yield piece

    def socket(self) -> socket.socket:
        """A connection of one's own, for what is no longer HTTP after its first lines."""
        address = self.address
        if address.socket:
            plain = socket.socket(socket.AF_UNIX)
            plain.settimeout(ANSWER_SECONDS)
            try:
                plain.connect(address.socket)
            except OSError:
                plain.close()
                raise
            return plain
        plain = socket.create_connection((address.host, address.port), ANSWER_SECONDS)
        if address.certificates is None:
            return plain
        context = ssl.create_default_context(cafile=address.certificate("ca.pem"))
        context.load_cert_chain(address.certificate("cert.pem"), address.certificate("key.pem"))
        return context.wrap_socket(plain, server_hostname=address.host)

    @functools.cached_property
    def facts(self) -> Json:
        """``docker info`` at the first call: what does not change while the engine runs."""
        with native(f"ask {self.url} what it is"):
            return dict(self.client.info())

    @functools.cached_property
    def local(self) -> bool:
        """Whether the engine runs on this very host: a socket may lead elsewhere."""
        here = os.uname()
        there = (self.facts.get("Name"), self.facts.get("KernelVersion"))
        return bool(self.address.socket) and there == (here.nodename, here.release)

    @property
    def api(self) -> tuple[int, ...]:
        return _number(self._client.api_version)

    def endpoint(self, path: str) -> str:
        return f"{self.client.base_url}/v{self.client.api_version}{path}"

    def close(self) -> None:
        """May be called several times."""
        self._closed = True
        self._client.close()


def _client(address: Address) -> docker.APIClient:
    if not address.socket:
        return docker.APIClient(
            address.base_url, version="auto", timeout=ANSWER_SECONDS, tls=_tls(address)
        )
    version = engine_version(address.socket, ANSWER_SECONDS)
    client = docker.APIClient(address.base_url, version=version, timeout=ANSWER_SECONDS)
    client.mount(PREFIX, UnixAdapter(address.socket, _CONNECTIONS, ANSWER_SECONDS))
    return client


def _tls(address: Address) -> docker.tls.TLSConfig | bool:
    if address.certificates is None:
        return False
    return docker.tls.TLSConfig(
        client_cert=(address.certificate("cert.pem"), address.certificate("key.pem")),
        ca_cert=address.certificate("ca.pem"),
        verify=True,
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def said(text: str) -> str:
    """The message of an answer, which is JSON with nothing else in it."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
