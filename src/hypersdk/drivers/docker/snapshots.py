"""Points in time that the engine keeps: images made of containers.

An image holds the container's own filesystem; volumes and memory are not in it. Which snapshot
came before which is in the images' labels. Reverting makes the container anew from the image, with
the same configuration, name, volumes and identity.

    hypersdk-snapshot/<identity>:<name>     a snapshot
    hypersdk-base/<identity>:<random>       what a container that was reverted stands on

The second tag is there so that a snapshot can be deleted while the container stands on its image.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from hypersdk.drivers.docker import marks, remake, volumes
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.hostports import explained
from hypersdk.drivers.docker.lifecycle import kill, remove_container
from hypersdk.drivers.docker.translate import (
    ROOTFS,
    identity,
    moment,
    observed_state,
)
from hypersdk.drivers.docker.translate import volumes as volumes_of
from hypersdk.drivers.docker.waiting import awaited
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import AlreadyExists, InvalidInput, NotFound, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot

_OF = f"{marks.PREFIX}snapshot.of"
_ID = f"{marks.PREFIX}snapshot.id"
_NAME = f"{marks.PREFIX}snapshot.name"
_STATE = f"{marks.PREFIX}snapshot.state"
_DESCRIPTION = f"{marks.PREFIX}snapshot.description"
#: Ids of the snapshots it descends from, the nearest first.
_BEFORE = f"{marks.PREFIX}snapshot.before"
#: Docker's id of the container that it was made of.
_CONTAINER = f"{marks.PREFIX}snapshot.container"
#: Volumes that are not in it.
_WITHOUT = f"{marks.PREFIX}snapshot.without"

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
#: Seconds that the engine may take to make an image of a container.
_COMMIT_SECONDS = 3600.0

LIMITS = (
    Limit(
        "snapshots.memory",
        "checkpoints need an experimental engine and CRIU on its host, and cannot be moved to the "
        "container that reverting makes",
    ),
    Limit("snapshots.quiesce", "nothing inside a container freezes its filesystems"),
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """One snapshot as its image tells."""

    id: str
    name: str
    before: tuple[str, ...]
    container: str
    tag: str
    image: Json

    @classmethod
    def of(cls, image: Json, repository: str) -> _Kept | None:
        """None for one whose tag was removed: something still stands on it."""
        labels = image["Config"]["Labels"]
        tag = next((t for t in image["RepoTags"] or () if t.startswith(f"{repository}:")), None)
        if tag is None:
            return None
        return cls(
            labels[_ID],
            labels[_NAME],
            tuple(labels[_BEFORE].split()),
            labels[_CONTAINER],
            tag,
            image,
        )


class DockerSnapshots:
    """The ``snapshots`` part."""

    limits = LIMITS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        name: str,
        snapshot: str,
        *,
        memory: bool = False,
        quiesce: bool = False,
        description: str = "",
    ) -> Snapshot:
        """A running container stands still while the image is made. Volumes are not in it:
        ``disks`` says ``no`` for them."""
        for asked, limit in zip((memory, quiesce), LIMITS, strict=True):
            if asked:
                raise NotSupported(
                    f"no such snapshot of '{name}' can be made: {limit.note}", hint="Leave it out."
                )
        if not snapshot.strip():
            raise InvalidInput("a snapshot needs a name", hint="before-upgrade")
        found = self._connection.find(name)
        kept = self._kept(found)
        if any(each.name == snapshot for each in kept):
            raise AlreadyExists(
                f"'{name}' has a snapshot '{snapshot}' already", hint="Choose another name."
            )
        current = _current(found, kept)
        labels = {
            _OF: identity(found),
            _ID: uuid.uuid4().hex,
            _NAME: snapshot,
            _STATE: observed_state(found).value,
            _DESCRIPTION: description,
            _BEFORE: " ".join((current.id, *current.before)) if current else "",
            _CONTAINER: found["Id"],
            _WITHOUT: " ".join(volumes_of(found["Mounts"])),
        }
        with native(f"make snapshot '{snapshot}' of '{name}'"):
            self._commit(found, snapshot, labels)
        return next(each for each in self.snapshots(name) if each.name == snapshot)

    def snapshots(self, name: str) -> Sequence[Snapshot]:
        found = self._connection.find(name)
        kept = self._kept(found)
        names = {each.id: each.name for each in kept}
        current = _current(found, kept)
        return [
            _snapshot(
                each,
                parent=next((names[one] for one in each.before if one in names), ""),
                current=each is current,
            )
            for each in sorted(kept, key=lambda one: (len(one.before), one.image["Created"]))
        ]

    def revert(self, name: str, snapshot: str) -> None:
        """The container is made anew. It runs, is paused or stopped afterwards as it was then; one
        that runs begins anew. Volumes are as they are now.

        When anything fails, the old container is there again as it was; one that ran was killed,
        and is started again.
        """
        found = self._connection.find(name)
        kept = self._named(found, snapshot)
        before = observed_state(found)
        draft = self._draft(found, kept)
        with native(f"revert '{name}' to '{snapshot}'"), contextlib.ExitStack() as undo:
            undo.callback(self._drop, draft)
            client = self._connection.client
            own = found["Name"].removeprefix("/")
            if before in (InstanceState.RUNNING, InstanceState.PAUSED):
                kill(self._connection, found)
                undo.callback(_back_to, self._connection, found["Id"], before)
            client.rename(found["Id"], f"{own}-before-{draft.key}")
            undo.callback(client.rename, found["Id"], own)
            client.rename(draft.container, own)
            undo.callback(client.rename, draft.container, draft.name)
            with explained(self._connection, own):
                _back_to(self._connection, draft.container, InstanceState(_labels(kept)[_STATE]))
            undo.pop_all()
            client.remove_container(found["Id"])
            volumes.remove_images(self._connection, volumes.base_of(found))

    def delete(self, name: str, snapshot: str, *, children: bool = False) -> None:
        """The image goes unless something else stands on it."""
        found = self._connection.find(name)
        doomed = self._named(found, snapshot)
        everyone = self._kept(found)
        with native(f"delete snapshot '{snapshot}' of '{name}'"):
            for each in everyone:
                if each.id == doomed.id or (children and doomed.id in each.before):
                    self._connection.client.remove_image(each.tag)

    def _kept(self, found: Json) -> list[_Kept]:
        own = identity(found)
        repository = f"{volumes.SNAPSHOTS}/{own}"
        with native(f"list the snapshots of '{found['Name'].removeprefix('/')}'"):
            rows = self._connection.client.images(repository)
            images = [self._connection.image(row["Id"]) for row in rows]
        return [kept for image in images if (kept := _Kept.of(image, repository))]

    def _named(self, found: Json, snapshot: str) -> _Kept:
        kept = self._kept(found)
        for each in kept:
            if each.name == snapshot:
                return each
        name = found["Name"].removeprefix("/")
        there = ", ".join(sorted(each.name for each in kept)) or "none"
        raise NotFound(f"'{name}' has no snapshot '{snapshot}'", hint=f"There are: {there}.")

    def _commit(self, found: Json, snapshot: str, labels: dict[str, str]) -> None:
        repository = f"{volumes.SNAPSHOTS}/{identity(found)}"
        conf = {"Labels": {**marks.without(found["Config"]["Labels"] or {}), **labels}}
        tag = _tag(snapshot)
        awaited(
            lambda: self._connection.post(
                "/commit",
                doing=f"make snapshot '{snapshot}'",
                seconds=_COMMIT_SECONDS,
                params={"container": found["Id"], "repo": repository, "tag": tag, "pause": "1"},
                json=conf,
            ),
            undo=lambda _: volumes.remove_images(self._connection, [f"{repository}:{tag}"]),
        )

    def _draft(self, found: Json, kept: _Kept) -> _Draft:
        """The container as it is going to be, under a name for the time being, stopped."""
        key = secrets.token_hex(4)
        repository = f"{volumes.BASES}/{identity(found)}"
        name = found["Name"].removeprefix("/")
        labels = remake.labels_of(found) | {
            marks.BASE: f"{repository}:{key}",
            marks.LINEAGE: " ".join((kept.id, *kept.before)),
        }
        # What the image brings along as a snapshot says nothing about a container.
        labels |= {label: "" for label in _labels(kept) if label.startswith(f"{marks.PREFIX}snap")}
        draft = _Draft(f"{name}-after-{key}", key, f"{repository}:{key}")
        client = self._connection.client
        with native(f"make '{name}' anew"), contextlib.ExitStack() as undo:
            client.tag(kept.image["Id"], repository, key)
            undo.callback(volumes.remove_images, self._connection, [draft.base])
            config = remake.configuration(found, draft.base, labels)
            made = self._connection.make(config, draft.name)
            undo.callback(remove_container, self._connection, made)
            remake.connect(self._connection, made, found)
            undo.pop_all()
        return _Draft(draft.name, key, draft.base, made)

    def _drop(self, draft: _Draft) -> None:
        remove_container(self._connection, draft.container)
        volumes.remove_images(self._connection, [draft.base])


@dataclass(frozen=True, slots=True)
class _Draft:
    """A container that is to take another one's place."""

    name: str
    key: str
    base: str
    container: str = ""


def _back_to(connection: Connection, container: str, state: InstanceState) -> None:
    if state in (InstanceState.RUNNING, InstanceState.PAUSED):
        connection.client.start(container)
    if state is InstanceState.PAUSED:
        connection.client.pause(container)


def _current(found: Json, kept: Sequence[_Kept]) -> _Kept | None:
    """The newest that was made of this very container, else the one it was reverted to, or the
    next one before that which is still there."""
    own = [each for each in kept if each.container == found["Id"]]
    if own:
        return max(own, key=lambda each: (len(each.before), str(each.image["Created"])))
    lineage = (found["Config"]["Labels"] or {}).get(marks.LINEAGE, "").split()
    by_id = {each.id: each for each in kept}
    return next((by_id[one] for one in lineage if one in by_id), None)


def _snapshot(kept: _Kept, *, parent: str, current: bool) -> Snapshot:
    labels = _labels(kept)
    return Snapshot(
        name=kept.name,
        created=moment(kept.image["Created"]),
        parent=parent,
        current=current,
        state=InstanceState(labels[_STATE]),
        memory=False,
        disks={ROOTFS: "internal", **dict.fromkeys(labels[_WITHOUT].split(), "no")},
        description=labels[_DESCRIPTION],
    )


def _labels(kept: _Kept) -> dict[str, str]:
    return dict(kept.image["Config"]["Labels"])


def _tag(snapshot: str) -> str:
    """Names that cannot be tags are known by their hash; the name itself is in a label."""
    if _TAG.fullmatch(snapshot):
        return snapshot
    return f"_{hashlib.blake2b(snapshot.encode(), digest_size=16).hexdigest()}"
