"""What the end of a job is told as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypersdk.database.events import Happening

_ABOUT = ("repository", "hypervisor", "instance")


def backup_ended(
    name: str, job: str, tenant: str, request: Mapping[str, Any], data: Mapping[str, Any]
) -> Happening:
    """``backup.completed`` or ``backup.failed``, for those who care about backups and not about
    jobs: with what was backed up to where. An image counts as an instance of its name."""
    about = {each: request[each] for each in _ABOUT if request.get(each)}
    if "instance" not in about and request.get("name"):
        about["instance"] = request["name"]
    return name, f"jobs/{job}", tenant, {**data, **about}
