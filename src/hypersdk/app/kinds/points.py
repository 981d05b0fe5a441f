"""The restore point that a request means."""

from __future__ import annotations

import re

from hypersdk.model.errors import PointNotFound
from hypersdk.model.points import RestorePoint
from hypersdk.repository.repository import Repository

LATEST = "latest"
#: Beginning of a date, which no id looks like.
_DATE = re.compile(r"\d{4}-\d\d")


def chosen_point(repository: Repository, instance: str, point: str) -> RestorePoint:
    """``point``: ``latest``, a time (the last one before it), or an id or its beginning.

    Raises PointNotFound, also for a point of another instance.
    """
    if point == LATEST or _DATE.match(point):
        return repository.find(f"{instance}@{point}")
    found = repository.find(point)
    if found.instance != instance:
        raise PointNotFound(
            f"restore point {found.id} is of '{found.instance}', not of '{instance}'",
            hint="Correct request.instance or request.point.",
        )
    return found
