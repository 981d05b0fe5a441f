"""Give up all backups that a repository has of an instance; an empty repository goes as well."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass

from hypersdk.model.errors import Conflict
from hypersdk.repository.layout import CONFIG, ENGINE, instance_folder
from hypersdk.repository.leases import read_leases
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.local import LocalStore
from hypersdk.repository.store.ports import Store


@dataclass(frozen=True, slots=True)
class Retired:
    """What was given up."""

    #: Restore points removed.
    points: int
    #: Why points were kept (pinned, locked); empty when none was.
    kept: tuple[str, ...]
    #: The repository held nothing else, and is gone.
    whole: bool


def retire(repository: Repository, instance: str, reason: str) -> Retired:
    """Remove every restore point of an instance, then the repository if it holds no other.

    A repository to which somebody writes stays, and goes by a later call. Where other instances
    remain, space is given back by garbage collection. ``reason`` stands in the tombstones.
    Raises KeyRequired, StoreError.
    """
    points, unreadable = repository.scan(instance)
    kept: list[str] = []
    for point in points:
        try:
            repository.remove(point, reason)
        except Conflict as error:
            kept.append(error.message)
    for key in unreadable:
        repository.drop(key)
    whole = not repository.entries() and not _in_use(repository)
    if whole:
        _remove(repository.store, instance)
    return Retired(len(points) - len(kept) + len(unreadable), tuple(kept), whole)


def _in_use(repository: Repository) -> bool:
    now = repository.clock()
    return any(lease.alive(now) for lease in read_leases(repository.store))


def _remove(store: Store, instance: str) -> None:
    """What says that it is a repository goes last: until then, this can be done again."""
    for info in list(store.list(ENGINE)):
        if info.key != CONFIG:
            store.delete(info.key)
    store.delete(CONFIG)
    if isinstance(store, LocalStore):
        shutil.rmtree(os.path.join(store.root, ENGINE))
        # Files of other origin stay, and so do the folders that hold them.
        folders = {instance_folder(instance), *store.folders()}
        for path in (*(os.path.join(store.root, folder) for folder in folders), store.root):
            with contextlib.suppress(OSError):
                os.rmdir(path)
