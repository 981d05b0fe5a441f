"""What fits together and what is removed; tests/cli/vmsnap has the same on real domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hypersdk.flows.checkpoints import CheckpointStatus, ScrubType, checkpoint_status, scrub
from hypersdk.model.checkpoints import Bitmap, Checkpoint, DiskBitmaps
from hypersdk.model.errors import HypervisorError, InvalidState, NotFound

MOMENT = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass
class Records:
    """A ``Checkpoints`` part that keeps what it is given."""

    known: list[Checkpoint] = field(default_factory=list)
    disks: list[DiskBitmaps] = field(default_factory=list)

    def checkpoints(self, name: str) -> Sequence[Checkpoint]:
        return list(self.known)

    def bitmaps(self, name: str) -> Sequence[DiskBitmaps]:
        return list(self.disks)

    def delete(self, name: str, checkpoint: str) -> None:
        self.forget(name, checkpoint)
        self._drop(checkpoint)

    def forget(self, name: str, checkpoint: str) -> None:
        self.known = [each for each in self.known if each.name != checkpoint]

    def remove_bitmap(self, name: str, bitmap: str) -> None:
        if any(each.name == bitmap for each in self.known):
            raise InvalidState(f"{bitmap} is needed")
        self._drop(bitmap)

    def _drop(self, name: str) -> None:
        self.disks = [
            disk(each.disk, *(b for b in each.bitmaps if b.name != name)) for each in self.disks
        ]


def checkpoint(name: str, *disks: str) -> Checkpoint:
    return Checkpoint(name, MOMENT, "", disks or ("vda",))


def bitmap(name: str, *, consistent: bool = True) -> Bitmap:
    return Bitmap(name, 65536, consistent)


def disk(name: str, *bitmaps: Bitmap, problem: str = "") -> DiskBitmaps:
    return DiskBitmaps(name, f"/{name}", 1 << 30, 1 << 20, bitmaps, problem)


def on(records: Records | None) -> Any:
    return SimpleNamespace(url="fake://host", checkpoints=records)


def status(records: Records) -> CheckpointStatus:
    return checkpoint_status(on(records), "web")


def test_all_is_well() -> None:
    assert status(Records()).consistent
    records = Records(
        [checkpoint("c.0", "vda", "vdb"), checkpoint("c.1", "vda")],
        [disk("vda", bitmap("c.0"), bitmap("c.1")), disk("vdb", bitmap("c.0"))],
    )
    assert status(records).consistent


def test_a_raw_disk_records_nothing_and_need_not() -> None:
    records = Records([checkpoint("c.0")], [disk("vda", bitmap("c.0")), disk("vdb")])
    assert status(records).consistent
    records.disks[1] = replace(disk("vdb", problem="network disks are not read"), path="")
    assert status(records).consistent
    records.disks[1] = disk("vdb", problem="no such file")
    assert status(records).problems == ("vdb: its bitmaps cannot be seen: no such file",)


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        (Records([checkpoint("c.0")], [disk("vda")]), "checkpoint c.0 is missing"),
        (Records([], [disk("vda", bitmap("c.0"))]), "c.0 belongs to no checkpoint"),
        # Equal counts of different names.
        (Records([checkpoint("c.1")], [disk("vda", bitmap("c.0"))]), "c.1 is missing"),
        (
            Records([checkpoint("c.0")], [disk("vda", bitmap("c.0", consistent=False))]),
            "c.0 was not saved properly",
        ),
        (
            Records([checkpoint("c.0")], [disk("vda", problem="no permission")]),
            "cannot be seen: no permission",
        ),
    ],
)
def test_what_does_not_fit_is_named(records: Records, problem: str) -> None:
    found = status(records)
    assert not found.consistent
    assert problem in found.problems[0]
    assert found.problems[0].startswith("vda: ")


def mixed() -> Records:
    names = ["snap.0", "snap.1", "snap.x", "other", "snapA0", "snap.0.1"]
    return Records(
        [checkpoint(name) for name in names],
        [disk("vda", *map(bitmap, [*names, "snap.7", "stray"])), disk("vdb", bitmap("snap.7"))],
    )


@pytest.mark.parametrize("what", [ScrubType.BOTH, ScrubType.ALL])
def test_a_series_and_nothing_like_it(what: ScrubType) -> None:
    records = mixed()
    removed = scrub(on(records), "web", what, series="snap")
    assert removed.checkpoints == ("snap.0", "snap.1")
    assert removed.bitmaps == ("snap.7",)
    left = ["snap.x", "other", "snapA0", "snap.0.1"]
    assert [each.name for each in records.known] == left
    assert [each.name for each in records.disks[0].bitmaps] == [*left, "stray"]


def test_one_by_name() -> None:
    records = mixed()
    removed = scrub(on(records), "web", ScrubType.BOTH, series="snap", name="other")
    assert (removed.checkpoints, removed.bitmaps) == (("other",), ())
    with pytest.raises(NotFound, match="no checkpoint other"):
        scrub(on(records), "web", ScrubType.BOTH, series="snap", name="other")
    removed = scrub(on(records), "web", ScrubType.ALL, series="snap", name="other")
    assert removed.checkpoints == ("snap.0", "snap.1")


def test_what_the_hypervisor_knows_and_what_disks_hold() -> None:
    records = mixed()
    with pytest.raises(InvalidState):
        scrub(on(records), "web", ScrubType.BITMAP, series="snap")
    assert scrub(on(records), "web", ScrubType.CHECKPOINT, series="snap").bitmaps == ()
    removed = scrub(on(records), "web", ScrubType.BITMAP, series="snap")
    assert removed.checkpoints == ()
    assert removed.bitmaps == ("snap.0", "snap.1", "snap.7")
    with pytest.raises(NotFound, match=r"no bitmap snap\.0"):
        scrub(on(records), "web", ScrubType.BITMAP, series="snap", name="snap.0")


def test_a_hypervisor_without_records() -> None:
    with pytest.raises(HypervisorError, match="keeps no records"):
        checkpoint_status(on(None), "web")
