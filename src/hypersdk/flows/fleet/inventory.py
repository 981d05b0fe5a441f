"""One inventory over many hypervisors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.fleet.members import Fleet, failure
from hypersdk.flows.fleet.parallel import run_each
from hypersdk.model.errors import HyperSDKError, Interrupted, NotSupported
from hypersdk.model.instances import Instance, InstanceState

#: Hypervisors that are asked at once.
ASKED_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Which instances are meant. All that is given must be true; nothing given: all."""

    states: Collection[InstanceState] = ()
    #: Tag → value; None: any value.
    tags: Mapping[str, str | None] = field(default_factory=dict)
    #: A folder, what is below it included; ``*`` and ``?`` stand for any characters.
    folder: str = ""
    #: Names of members.
    hypervisors: Collection[str] = ()
    #: True: only those that HyperSDK made; False: only others.
    owned: bool | None = None
    #: Part of the name, id, image or a tag, in whatever case; a pattern (``*``, ``?``, ``[``) must
    #: fit all of it.
    search: str = ""

    def matches(self, instance: Instance) -> bool:
        """All but the hypervisor, which an instance does not know."""
        if self.states and instance.state not in self.states:
            return False
        if self.owned is not None and instance.owned is not self.owned:
            return False
        for tag, value in self.tags.items():
            if tag not in instance.tags or value not in (None, instance.tags[tag]):
                return False
        return self._in_folder(instance.folder) and self._found_in(instance)

    def _in_folder(self, folder: str) -> bool:
        wanted = self.folder.strip("/")
        return not wanted or fnmatchcase(folder, wanted) or fnmatchcase(folder, f"{wanted}/*")

    def _found_in(self, instance: Instance) -> bool:
        if not self.search:
            return True
        texts = [instance.name, instance.id, instance.image]
        for tag, value in instance.tags.items():
            texts += [tag, value, f"{tag}={value}"]
        wanted = self.search.lower()
        if not is_pattern(wanted):
            return any(wanted in text.lower() for text in texts)
        return any(fnmatchcase(text.lower(), wanted) for text in texts)


def is_pattern(text: str) -> bool:
    """Whether ``text`` stands for several names."""
    return any(sign in text for sign in "*?[")


@dataclass(frozen=True, slots=True)
class FleetInstance:
    """An instance, and where it is."""

    #: Name of the member.
    hypervisor: str
    instance: Instance

    @property
    def label(self) -> str:
        """Names it among all: ``lab/web``."""
        return f"{self.hypervisor}/{self.instance.name}"


@dataclass(frozen=True, slots=True)
class FleetInventory:
    """What was found, in the order of the members, by name."""

    instances: tuple[FleetInstance, ...]
    #: Members that could not be asked, and why. Their instances are not in the list.
    failures: Mapping[str, HyperSDKError] = field(default_factory=dict)


def fleet_inventory(
    fleet: Fleet, wanted: InstanceFilter | None = None, *, cancel: CancelToken | None = None
) -> FleetInventory:
    """Ask all members at once. One that fails is reported beside what the others have.

    Raises InvalidInput for a member in the filter that there is not, Interrupted.
    """
    wanted = wanted or InstanceFilter()
    token = cancel or CancelToken()
    for name in set(wanted.hypervisors) - set(fleet.names):
        fleet.hypervisor(name)  # raises, with the nearest name
    names = [name for name in fleet.names if not wanted.hypervisors or name in wanted.hypervisors]

    def ask(name: str) -> list[Instance] | HyperSDKError:
        try:
            inventory = fleet.hypervisor(name).inventory
            if inventory is None:
                return NotSupported(f"{name} cannot list its instances")
            return list(inventory.instances())
        except Exception as error:  # noqa: BLE001 - reported beside the others
            return failure(error)

    answers = run_each(
        names,
        ask,
        skip=lambda _: Interrupted("cancelled"),
        key=lambda name: name,
        workers=ASKED_AT_ONCE,
        per_key=1,
        cancel=token,
    )
    token.check()
    found: list[FleetInstance] = []
    failures: dict[str, HyperSDKError] = {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, HyperSDKError):
            failures[name] = answer
        else:
            matching = [instance for instance in answer if wanted.matches(instance)]
            matching.sort(key=lambda instance: (instance.name, instance.id))
            found += [FleetInstance(name, instance) for instance in matching]
    return FleetInventory(tuple(found), failures)
