"""An export under way: its checkpoint on disk, and what an earlier run of it left."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypersdk.artifacts.checksums import digest_of
from hypersdk.drivers.diskports import BackupView, DiskView
from hypersdk.flows.exporting import evidence
from hypersdk.flows.exporting.checkpoint import Checkpoint, FinishedDisk, read_checkpoint
from hypersdk.flows.exporting.layout import Layout
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.model.instances import Instance

_WHOLE_DISKS = "disks are taken over whole: a stream cannot be taken up in the middle"


def binding_options(options: ExportOptions) -> dict[str, Any]:
    """What has to be the same for files of an earlier run to be of use."""
    packing = options.compression
    return {
        "format": options.format,
        "exclude": sorted(options.exclude),
        "packing": f"{packing.codec}:{packing.level}" if packing else "",
        "checksum": options.checksum,
    }


class ExportState:
    """The checkpoint of this run, saved whenever it changes. For several threads."""

    def __init__(self, layout: Layout, instance: Instance, options: ExportOptions) -> None:
        self._layout = layout
        self._options = options
        self._lock = threading.Lock()
        #: What a run that was killed or failed has left; also when it is not to be resumed, since
        #: what it did to the instance has to be undone.
        self.earlier = read_checkpoint(layout.checkpoint)
        if self.earlier is not None and self.earlier.instance != instance.id:
            self.earlier = None
        before = self.earlier
        self.current = Checkpoint(
            instance=instance.id,
            options=binding_options(options),
            shut_down=before.shut_down if before else False,
            snapshot=before.snapshot if before else "",
        )
        #: This run has a moment of its own; until then the checkpoint is the earlier one's, so that
        #: a run that fails or dies before loses nothing.
        self.begun = False
        if (kept := self.resumable) is not None:
            self.current = replace(
                self.current, disks=kept.disks, moment=kept.moment, time=kept.time
            )

    @property
    def shut_down(self) -> bool:
        return self.current.shut_down

    def will_shut_down(self) -> None:
        self._change(shut_down=True)

    def started(self) -> None:
        self._change(shut_down=False)

    def made_snapshot(self, name: str) -> None:
        self._change(snapshot=name)

    def lost_snapshot(self) -> None:
        self._change(snapshot="")

    def begin(
        self,
        moment: evidence.Evidence,
        time: float,
        finished: Mapping[str, FinishedDisk] | None = None,
    ) -> None:
        """The moment is there; ``finished`` are the disks of an earlier run that are of it."""
        self.begun = True
        self._change(moment=moment, time=time, disks=dict(finished or {}))

    def moved_on(self, moment: evidence.Evidence) -> None:
        """The view has ended, which may have touched the files of the disks."""
        self._change(moment=moment)

    def finished(self, name: str, disk: FinishedDisk) -> None:
        """A disk is complete."""
        with self._lock:
            self.current = self.current.with_disk(name, disk)
            self.current.save(self._layout.checkpoint)

    def publishing(self, names: tuple[str, ...]) -> None:
        """From here on files move to their final places."""
        self._change(publishing=names)

    def _change(self, **values: Any) -> None:
        with self._lock:
            self.current = replace(self.current, **values)
            self.current.save(self._layout.checkpoint)

    @property
    def resumable(self) -> Checkpoint | None:
        """What may be taken over, if its moment turns out to be this one's."""
        before = self.earlier
        if not self._options.resume or before is None or not before.disks:
            return None
        return before if before.options == self.current.options else None

    @property
    def useless(self) -> str:
        """Why nothing of an earlier run is of use though it was asked for: a sentence; empty when
        something is, or there was none."""
        if not self._options.resume or self.earlier is None or self.resumable is not None:
            return ""
        if self.earlier.disks:
            return "nothing is taken over: what is there was exported with other options"
        return f"all begins anew: of what was exported no disk is complete ({_WHOLE_DISKS})"


def taken_over(
    before: Checkpoint, view: BackupView, now: evidence.Evidence, layout: Layout, *, verify: bool
) -> tuple[dict[str, FinishedDisk], list[str]]:
    """Disks that need not be read again, and for each other one why it has to be: a sentence."""
    found: dict[str, FinishedDisk] = {}
    reasons: list[str] = []
    still = evidence.remembered(before.moment, now, view)
    for disk in view.disks:
        name = disk.disk.name
        finished = before.disks.get(name)
        if finished is None or finished.capacity != disk.disk.size:
            reasons.append(f"{name} begins anew: it was not complete ({_WHOLE_DISKS})")
            continue
        if not still and not _same_moment(before, now, disk):
            reasons.append(
                f"{name} is read again: it cannot be shown that it was not written since the "
                "export that is resumed"
            )
        elif problem := _damaged(finished, layout, verify=verify):
            reasons.append(f"{name} is read again: {problem}")
        else:
            found[name] = finished
    return found, reasons


def _same_moment(before: Checkpoint, now: evidence.Evidence, disk: DiskView) -> bool:
    if evidence.same_snapshot(before.moment, now):
        return True
    if evidence.unchanged_file(before.moment, now, disk.disk.name):
        return True
    return bool(evidence.tokens_of(before.moment)) and evidence.unchanged_record(disk)


def _damaged(finished: FinishedDisk, layout: Layout, *, verify: bool) -> str:
    """What is wrong with the file; empty: nothing."""
    if layout.format == "ova":
        return ""  # compared when the archive is opened
    path = layout.staging / finished.file
    if not path.is_file() or path.stat().st_size != finished.size:
        return f"{finished.file} is not as it was left"
    if verify and digest_of(path, "sha256") != finished.digests["sha256"]:
        return f"{finished.file} is not what was written"
    return ""
