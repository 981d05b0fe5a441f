"""Labels by which the engine itself keeps what we know of a container.

Labels are fixed when a container is made. Containers that others made have none of these; their
own labels are shown as tags.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "dev.hypersdk."
#: Identity that stays when the container is made anew, as by reverting to a snapshot.
IDENTITY = f"{PREFIX}id"
#: ``yes``: made by HyperSDK. On containers and volumes.
OWNED = f"{PREFIX}owned"
FOLDER = f"{PREFIX}folder"
TAG = f"{PREFIX}tag."
#: What it was made from before it was made anew.
IMAGE = f"{PREFIX}image"
#: Image that exists only for this container: the state it was reverted to, or restored.
BASE = f"{PREFIX}base"
#: Room that it was made with: processors, and bytes.
VCPUS_MAXIMUM = f"{PREFIX}vcpus-maximum"
MEMORY_MAXIMUM = f"{PREFIX}memory-maximum"
#: Ids of the snapshot it was reverted to and of those before that one, separated by spaces.
LINEAGE = f"{PREFIX}lineage"
#: On a volume: identity of the instance that it was made for.
VOLUME_OF = f"{PREFIX}instance"
#: A container or volume that is not ready to be seen: the name it is going to have.
DRAFT = f"{PREFIX}draft"


def made(
    identity: str,
    *,
    tags: Mapping[str, str],
    folder: str,
    vcpus_maximum: int,
    memory_maximum: int,
) -> dict[str, str]:
    """Labels of a container that is being made."""
    return {
        IDENTITY: identity,
        OWNED: "yes",
        VCPUS_MAXIMUM: str(vcpus_maximum),
        MEMORY_MAXIMUM: str(memory_maximum),
        **({FOLDER: folder} if folder else {}),
        **tag_labels(tags),
    }


def tag_labels(tags: Mapping[str, str]) -> dict[str, str]:
    """Labels that hold these tags."""
    return {f"{TAG}{name}": value for name, value in tags.items()}


def owned(labels: Mapping[str, str]) -> bool:
    return labels.get(OWNED) == "yes"


def tags(labels: Mapping[str, str]) -> dict[str, str]:
    """The tags it was made with; of a container of others all its labels."""
    if not owned(labels):
        return {name: value for name, value in labels.items() if not name.startswith(PREFIX)}
    return {name.removeprefix(TAG): value for name, value in labels.items() if name.startswith(TAG)}


def adopted(labels: Mapping[str, str]) -> dict[str, str]:
    """What makes a container ours that is made anew after one of others, with the same tags."""
    return {OWNED: "yes", **tag_labels(tags(labels))}


def without(labels: Mapping[str, str]) -> dict[str, str]:
    """For images: a container that somebody makes from one of ours must not look like it."""
    return {name: "" for name in labels if name.startswith(PREFIX)}
