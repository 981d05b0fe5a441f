"""The mock hypervisor under test. Its backend is its folder, and that is where the observer looks:
at the JSON and the disk files, not through the driver."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from hypersdk.conformance.target import Expectations, Observation, Site
from hypersdk.conformance.targets.walking import paths_under
from hypersdk.drivers.mock.driver import MockHypervisor, connect
from hypersdk.drivers.mock.lifecycle import DEAF
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import MIB

DISK = "vda"
#: Folders that stay when the last thing in them goes.
_SHARED = {"kept", "networks"}


def target(url: str, site: Site) -> MockTarget:
    """``mock://`` alone is a hypervisor in a temporary folder, which ``close`` removes."""
    return MockTarget(url, site)


class MockTarget:
    """See the port. Its guests have an agent unless the URL says otherwise."""

    def __init__(self, url: str, site: Site) -> None:
        parts = urlsplit(url)
        self._site = site
        self._temporary: list[tempfile.TemporaryDirectory[str]] = []
        path = unquote(parts.path) or self._folder()
        query = {"guest_agent": "true", **dict(parse_qsl(parts.query, keep_blank_values=True))}
        self.url = f"mock://{quote(path)}?{urlencode(query)}"
        self.observer = MockObserver(Path(path))
        self.guest = MockGuest(self.url)
        obeys = connect(self.url).config.obeys_stop
        self.expectations = Expectations(
            obeys_stop=obeys, start=10.0, stop=10.0, many=100, running=20
        )

    def connect(self) -> Hypervisor:
        return connect(self.url)

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(
            name=name,
            memory=64 * MIB,
            disks=(DiskSpec(name=DISK, size=64 * MIB, format="raw"),),
        )

    def disk(self, name: str) -> DiskSpec | None:  # noqa: ARG002 - of the port
        return DiskSpec(size=4 * MIB, format="raw")

    def stubborn(self, name: str) -> InstanceSpec:
        return replace(self.spec(name), kernel_arguments=DEAF)

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        """The mock cuts it itself: there is no network between it and its folder."""
        if isinstance(hypervisor, MockHypervisor):
            hypervisor.disconnect()
            return True
        return False

    def make_foreign(self, name: str) -> None:
        """As a program would that does not mark what it makes."""
        connect(self.url).create_instance(name, {DISK: MIB}, memory=64 * MIB)

    def remove(self, name: str) -> None:
        """As somebody would who has a shell on the host."""
        if (folder := self.observer.folder(name)) is not None:
            shutil.rmtree(folder)

    def crash(self, name: str) -> None:
        connect(self.url).panic(name)

    def destination(self) -> str:
        """Another folder, which ``close`` removes."""
        return f"mock://{quote(self._folder())}"

    def _folder(self) -> str:
        made = tempfile.TemporaryDirectory(prefix="hypersdk-mock-", dir=self._site.folder or None)
        self._temporary.append(made)
        return made.name

    def close(self) -> None:
        while self._temporary:
            self._temporary.pop().cleanup()


class MockObserver:
    """Reads the files of the hypervisor's folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def look(self, name: str) -> Observation | None:
        folder = self.folder(name)
        if folder is None:
            return None
        try:
            return _observation(folder)
        except FileNotFoundError:  # deleted just now
            return None

    def folder(self, name: str) -> Path | None:
        """Of the instance of this name."""
        for path in self._root.glob("[!.]*/definition.json"):
            with suppress(FileNotFoundError):
                if json.loads(path.read_bytes())["name"] == name:
                    return path.parent
        return None

    def resources(self) -> frozenset[str]:
        """Every file and folder that belongs to an instance, and drafts and kept disks."""
        return frozenset(
            f"{'folder' if path.is_dir() else 'file'} {path.relative_to(self._root)}"
            for path in paths_under(self._root)
            if path.parent != self._root or (path.is_dir() and path.name not in _SHARED)
        )


def _observation(folder: Path) -> Observation:
    found: dict[str, Any] = json.loads((folder / "definition.json").read_bytes())
    run: dict[str, Any] = json.loads((folder / "state.json").read_bytes())
    sizes = {
        disk["name"]: (folder / "disks" / f"{disk['id']}.raw").stat().st_size
        for disk in found["disks"]
    }
    return Observation(
        id=found["id"],
        state=InstanceState(run["state"]),
        vcpus=found["vcpus"],
        cpu_weight=found["cpu_weight"],
        cpu_limit=found["cpu_limit"],
        memory=found["memory"],
        pids_limit=found["pids_limit"],
        env=found["env"],
        disks=sizes,
        nics=tuple(nic["mac"] for nic in found["nics"]),
    )


class MockGuest:
    """Writes through the guest's own door, which is no call to the hypervisor."""

    disk = DISK

    def __init__(self, url: str) -> None:
        self._url = url

    def write(self, name: str, offset: int, data: bytes) -> None:
        with self._hypervisor.guest(name, self.disk) as guest:
            guest.write(offset, data)

    def zero(self, name: str, offset: int, length: int) -> None:
        with self._hypervisor.guest(name, self.disk) as guest:
            guest.zero(offset, length)

    def read(self, name: str, offset: int, length: int) -> bytes:
        with self._hypervisor.guest(name, self.disk) as guest:
            return guest.read(offset, length)

    @property
    def _hypervisor(self) -> MockHypervisor:
        return connect(self._url)
