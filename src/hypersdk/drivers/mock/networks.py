"""Networks of a mock hypervisor: known by name, so that NICs can be refused; nothing is sent.

::

    ROOT/networks/<network>.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

from hypersdk.drivers.mock.definition import MockNic
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.files import folder_name, replace_file
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.resources import Network

_MODES = ("isolated", "nat", "route", "bridge")


class MockNetworks:
    """The ``networks`` part."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def networks(self) -> Sequence[Network]:
        """By name."""
        self._root.check()
        with native(f"list the networks of {self._root.path}"):
            found = [_read(path) for path in self._folder.glob("[!.]*.json")]
        return sorted(found, key=lambda network: network.name)

    def create_network(self, network: Network) -> Network:
        """Started; ``active`` of the argument says nothing. Raises InvalidInput."""
        _check(network)
        with native(f"create the network '{network.name}'"), self._root.changing():
            path = self._path(network.name)
            if path.exists():
                raise AlreadyExists(
                    f"the network '{network.name}' exists",
                    hint="Choose another name, or delete it first.",
                )
            self._folder.mkdir(mode=0o700, exist_ok=True)
            made = replace(network, active=True)
            _write(path, made)
            return made

    def start_network(self, name: str) -> None:
        """Starting one that runs is no error. Raises NotFound."""
        with self._changing(name, "start") as path:
            _write(path, replace(_read(path), active=True))

    def stop_network(self, name: str) -> None:
        """Stopping one that does not run is no error. Raises NotFound."""
        with self._changing(name, "stop") as path:
            _write(path, replace(_read(path), active=False))

    def delete_network(self, name: str) -> None:
        """Instances that have NICs in it cannot be started any more. Raises NotFound."""
        with self._changing(name, "delete") as path:
            path.unlink()

    @contextmanager
    def _changing(self, name: str, verb: str) -> Iterator[Path]:
        self._root.check()
        with native(f"{verb} the network '{name}'"), self._root.changing():
            path = self._path(name)
            if not path.exists():
                known = ", ".join(network.name for network in self.networks()) or "none"
                raise NotFound(f"there is no network '{name}'", hint=f"There are: {known}.")
            yield path

    def _path(self, name: str) -> Path:
        return self._folder / f"{folder_name(name, 'a network')}.json"

    @property
    def _folder(self) -> Path:
        return self._root.path / "networks"


def require_networks(root: Root, nics: Iterable[MockNic], *, active: bool = False) -> None:
    """Raises NotFound for a network that is not there; with ``active`` InvalidState for one that
    is not started."""
    wanted = {nic.network for nic in nics if nic.network and nic.linked}
    if not wanted:
        return
    known = {network.name: network for network in MockNetworks(root).networks()}
    for name in sorted(wanted):
        if name not in known:
            raise NotFound(
                f"there is no network '{name}' on mock://{root.path}",
                hint=f"There is: {', '.join(sorted(known)) or 'none'}.",
            )
        if active and not known[name].active:
            raise InvalidState(f"the network '{name}' is not started", hint="Start it.")


def _read(path: Path) -> Network:
    content = path.read_bytes()
    try:
        return Network(**json.loads(content))
    except (TypeError, ValueError) as error:
        raise HypervisorError(f"{path} is damaged: {error}", hint="Delete it.") from error


def _write(path: Path, network: Network) -> None:
    replace_file(path, json.dumps(asdict(network), indent=2, ensure_ascii=False).encode())


def _check(network: Network) -> None:
    """Raises InvalidInput for what makes no network."""
    if network.mode not in _MODES:
        raise InvalidInput(
            f"'{network.name}' has an unknown mode '{network.mode}'", hint=", ".join(_MODES)
        )
    try:
        inside = ip_interface(network.address).network if network.address else None
        ends = [ip_address(end) for end in (network.dhcp_first, network.dhcp_last) if end]
    except ValueError as error:
        raise _senseless(network, str(error)) from error
    for end in ends:
        if inside is None or end not in inside:
            raise _senseless(network, f"{end} is not in {inside or 'a network without addresses'}")


def _senseless(network: Network, problem: str) -> InvalidInput:
    return InvalidInput(
        f"the addresses of '{network.name}' make no sense: {problem}",
        hint="For example address 192.168.100.1/24, dhcp 192.168.100.10 to 192.168.100.99.",
    )
