"""What happened in a vCenter lately, and what was done there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypersdk.api.known import beyond, reach, vcenters
from hypersdk.api.known.reach import Reached
from hypersdk.api.services import Services
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import HypervisorError, NotSupported
from hypersdk.model.topology import TaskRecord
from hypersdk.observe.log import get_logger

#: Tasks that are looked through.
_TASKS = 1000

_log = get_logger(__name__)


def past_tasks(here: Reached, first: datetime) -> list[TaskRecord]:
    """Newest first: those that were queued since ``first``, and those that run."""
    tasks = beyond.tasks(here.hypervisor)
    known = {each.id: each for each in tasks.recent()}
    try:
        known |= {each.id: each for each in tasks.history(most=_TASKS) if each.id not in known}
    except NotSupported:
        pass  # an ESXi host keeps none
    except HypervisorError as error:
        if type(error) is not HypervisorError:  # denied, out of reach
            raise
        # One record of a kind that pyVmomi does not know makes all of them unreadable.
        _log.warning("past tasks cannot be read", hypervisor=here.name, reason=error.message)
    found = [each for each in known.values() if each.queued >= first or each.ended is None]
    return sorted(found, key=lambda each: each.queued, reverse=True)


class PastEvents:
    """What happened since the last look."""

    def __init__(
        self,
        services: Services,
        who: Principal,
        hypervisor: str,
        kinds: frozenset[str],
        subjects: frozenset[str],
        since: datetime | None,
    ) -> None:
        self._ask = (services, who, hypervisor)
        self._kinds, self._subjects = kinds, subjects
        # vSphere's clock may be behind ours; what was told is known by its number.
        self._since = since
        self._last = 0

    def look(self) -> Sequence[dict[str, Any]]:
        """Nothing at first where no moment was given: what comes from then on."""
        with reach.vsphere(*self._ask) as here:
            past = beyond.past_events(here.hypervisor)
            if self._since is None:
                self._since = datetime.now(UTC) - timedelta(minutes=5)
                found = past.since(self._since)
                self._last = found[-1].number if found else 0
                return []
            found = past.since(
                self._since, kinds=self._kinds, subjects=self._subjects, after=self._last
            )
        if found:
            self._last = found[-1].number
            self._since = max(self._since, found[-1].time - timedelta(minutes=5))
        return [vcenters.as_data(vcenters.event(each)) for each in found]
