"""Fleets of mock hypervisors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.wrappers.breaker import Breakers
from hypersdk.drivers.wrappers.guarded import Policy
from hypersdk.drivers.wrappers.retry import Retries
from hypersdk.flows.fleet.inventory import FleetInstance, InstanceFilter, fleet_inventory
from hypersdk.flows.fleet.members import Fleet
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import InstanceSpec

RUNNING, PAUSED, STOPPED = InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPED


class Labs:
    """Folders of mock hypervisors below one folder, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, name: str) -> str:
        return f"mock://{self._folder}/{name}"

    def add(
        self,
        name: str,
        *instances: str | InstanceSpec,
        config: str = "",
        foreign: Sequence[str] = (),
    ) -> None:
        """A hypervisor with stopped instances; ``foreign`` ones are not ours. ``config``: what
        stands in its mock.toml once they are there."""
        folder = self._folder / name
        folder.mkdir(parents=True)
        hypervisor = MockHypervisor(folder)
        for each in instances:
            spec = InstanceSpec(name=each) if isinstance(each, str) else each
            hypervisor.lifecycle.create(spec)
        for other in foreign:
            hypervisor.create_instance(other, {})
        (folder / "mock.toml").write_text(config)

    def mock(self, name: str) -> MockHypervisor:
        """Past the guards and failures."""
        from hypersdk.drivers.mock.config import Config  # noqa: PLC0415

        return MockHypervisor(self._folder / name, config=Config())

    def start(self, name: str, *instances: str) -> None:
        for instance in instances:
            self.mock(name).lifecycle.start(instance)

    def states(self, name: str) -> dict[str, InstanceState]:
        return {each.name: each.state for each in self.mock(name).inventory.instances()}

    def fleet(self, *names: str, urls: Mapping[str, str] | None = None, **policy: Any) -> Fleet:
        guards = Policy(
            **{
                "breakers": Breakers(),
                "audit": False,
                "retries": Retries(attempts=2, wait_first=0.001),
                **policy,
            }
        )
        return Fleet({**{name: self.url(name) for name in names}, **(urls or {})}, policy=guards)


def everything(fleet: Fleet, **wanted: Any) -> tuple[FleetInstance, ...]:
    return fleet_inventory(fleet, InstanceFilter(**wanted)).instances


def labels(found: Sequence[FleetInstance]) -> list[str]:
    return [each.label for each in found]
