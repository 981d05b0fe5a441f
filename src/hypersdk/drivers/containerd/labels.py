"""What we write on containers and snapshots: whose they are, and what containerd has no field for.

Labels of containerd's own, ``containerd.io/gc.ref.…``, say what its garbage collector must keep.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import InstanceSpec

#: Made by HyperSDK; the value says nothing.
OWNED = "hypersdk/owned"
FOLDER = "hypersdk/folder"
TAG = "hypersdk/tag/"
#: File with the output of the first process.
LOG = "hypersdk/log"
#: Stop signal of the image, by number.
STOP_SIGNAL = "hypersdk/stop-signal"
#: There while its task was made to wait for ``resume``; otherwise one that was not started yet is
#: on its way to running.
HALTED = "hypersdk/halted"
#: Snapshot that the present content descends from.
CURRENT = "hypersdk/current"

#: On a snapshot: the container, the snapshot's name for people, the one before it, and so on.
SNAPSHOT_OF = "hypersdk/snapshot.of"
SNAPSHOT_NAME = "hypersdk/snapshot.name"
SNAPSHOT_PARENT = "hypersdk/snapshot.parent"
SNAPSHOT_STATE = "hypersdk/snapshot.state"
SNAPSHOT_DESCRIPTION = "hypersdk/snapshot.description"

#: Annotations in the runtime spec: what its fields cannot say.
VCPUS = "hypersdk/vcpus"
VCPUS_MAXIMUM = "hypersdk/vcpus-maximum"
MEMORY_MAXIMUM = "hypersdk/memory-maximum"
#: There when a limit of processor time was asked for apart from the number of processors.
CPU_LIMIT = "hypersdk/cpu-limit"

#: Bytes of a key and its value (containerd's ``labels/validate.go``).
_LENGTH_MAX = 4096
#: How long an unfinished operation of a dead client holds what it made.
GC_EXPIRE = "containerd.io/gc.expire"
_GC_SNAPSHOT = "containerd.io/gc.ref.snapshot."
_GC_CONTENT = "containerd.io/gc.ref.content."


def of_spec(spec: InstanceSpec) -> dict[str, str]:
    """Raises InvalidInput for what does not fit into a label."""
    labels = {OWNED: "yes"}
    if spec.folder:
        labels[FOLDER] = spec.folder
    labels |= {f"{TAG}{name}": _written(value) for name, value in spec.tags.items()}
    return checked(labels, spec.name)


def checked(labels: dict[str, str], name: str) -> dict[str, str]:
    for key, value in labels.items():
        if len(key.encode()) + len(value.encode()) > _LENGTH_MAX:
            raise InvalidInput(
                f"'{name}': {key.removeprefix(TAG)[:40]!r} is too long for containerd",
                hint=f"A name and its value may have {_LENGTH_MAX - len(TAG)} bytes together.",
            )
    return labels


def tags(labels: Mapping[str, str]) -> dict[str, str]:
    return {
        key[len(TAG) :]: value.removeprefix("=")
        for key, value in labels.items()
        if key.startswith(TAG)
    }


def _written(value: str) -> str:
    """containerd drops labels without a value, so an empty one is written as ``=``."""
    return f"={value}" if not value or value.startswith("=") else value


def keeps_snapshot(snapshotter: str, which: str = "") -> str:
    """Key of a label whose value is the key of a snapshot that must stay. ``which`` tells several
    of one snapshotter apart."""
    return f"{_GC_SNAPSHOT}{snapshotter}{f'/{which}' if which else ''}"


def snapshots(labels: Mapping[str, str]) -> dict[str, str]:
    """Key of a snapshot that a container keeps → the label that does it."""
    return {value: key for key, value in labels.items() if key.startswith(_GC_SNAPSHOT)}


def keeps_content(which: str) -> str:
    """Key of a label whose value is the digest of content that must stay."""
    return f"{_GC_CONTENT}{which}"
