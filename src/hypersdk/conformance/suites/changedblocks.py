"""Which areas changed since an earlier view: nothing is left out, and no lie is believed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.reading import (
    AREA,
    WINDOW,
    committed,
    disk_of,
    kinds,
    pattern,
    restored,
    same,
)
from hypersdk.drivers.diskports import DiskView
from hypersdk.model.errors import InvalidState, NotFound
from hypersdk.model.extents import ExtentKind

REQUIREMENT = "disks.changed_blocks"
UNCHANGED = ExtentKind.UNCHANGED


def _begun(lab: Lab, *, running: bool = False) -> tuple[str, bytes, Mapping[str, str]]:
    """A fresh instance with something on its disk; its name, that content, and its tokens."""
    name = (lab.running() if running else lab.create()).name
    lab.guest.write(name, 0, pattern("before", 6 * AREA))
    tokens = committed(lab, name)
    expect.contains(tokens, lab.guest.disk, "tokens of a view that was kept")
    return name, lab.guest.read(name, 0, WINDOW), tokens


def _since(lab: Lab, name: str, tokens: Mapping[str, str], before: bytes) -> None:
    """An incremental view makes of what was before what is now."""
    now = lab.guest.read(name, 0, WINDOW)
    with lab.disks.view(name, tokens) as view:
        disk = disk_of(view, lab.guest.disk)
        _incremental(disk)
        with disk.open() as source:
            same(restored(source, 0, WINDOW, before), now, "what was before, with the changes")


def _incremental(disk: DiskView) -> None:
    expect.true(disk.incremental, f"it is read in full: {disk.reason}")


@case(REQUIREMENT, needs=("guest",))
def only_what_changed_is_reported(lab: Lab) -> None:
    """After one write that area is reported, and what is far from it is unchanged."""
    name, before, tokens = _begun(lab)
    lab.guest.write(name, 2 * AREA, pattern("change", 4096))
    _since(lab, name, tokens, before)
    with lab.disks.view(name, tokens) as view, disk_of(view, lab.guest.disk).open() as source:
        expect.equal(kinds(source, 5 * AREA, AREA), {UNCHANGED}, "an area without changes")


@case(REQUIREMENT, needs=("guest",))
def nothing_changed_is_nothing_reported(lab: Lab) -> None:
    """Without a change in between all is unchanged."""
    name, _, tokens = _begun(lab)
    with lab.disks.view(name, tokens) as view:
        disk = disk_of(view, lab.guest.disk)
        _incremental(disk)
        with disk.open() as source:
            expect.equal(kinds(source, 0, WINDOW), {UNCHANGED}, "the disk without changes")


@case(REQUIREMENT, needs=("guest",))
def zeroed_areas_are_reported_as_zero(lab: Lab) -> None:
    """An area zeroed since is reported, as zero: peers lose exactly these."""
    name, before, tokens = _begun(lab)
    lab.guest.zero(name, 2 * AREA, 2 * AREA)
    _since(lab, name, tokens, before)
    with lab.disks.view(name, tokens) as view, disk_of(view, lab.guest.disk).open() as source:
        expect.equal(kinds(source, 2 * AREA, 2 * AREA), {ExtentKind.ZERO}, "the zeroed area")


@case(REQUIREMENT, needs=("guest",))
def zeroes_written_and_overwritten_are_right(lab: Lab) -> None:
    """Zeroing what was just written, and writing into what was just zeroed, both come out."""
    name, before, tokens = _begun(lab)
    lab.guest.write(name, AREA, pattern("then zeroed", AREA))
    lab.guest.zero(name, AREA, AREA)
    lab.guest.zero(name, 3 * AREA, AREA)
    lab.guest.write(name, 3 * AREA + 512, pattern("into zeroes", 512))
    _since(lab, name, tokens, before)


@case(REQUIREMENT, needs=("guest",))
def scattered_small_writes_are_all_reported(lab: Lab) -> None:
    """Many small writes, also across boundaries, are all reported."""
    name, before, tokens = _begun(lab)
    for number in range(24):
        lab.guest.write(name, number * 300 * 1024 + 65_536 - 256, pattern(f"{number}", 512))
    _since(lab, name, tokens, before)


@case(REQUIREMENT, needs=("guest",))
def the_first_and_last_bytes_are_reported(lab: Lab) -> None:
    """A change of the first and of the last bytes of a disk is reported."""
    name, _, tokens = _begun(lab)
    with lab.disks.view(name, {}) as view:
        size = disk_of(view, lab.guest.disk).disk.size
    for offset in (0, size - 512):
        lab.guest.write(name, offset, pattern("edge", 512))
    with lab.disks.view(name, tokens) as view, disk_of(view, lab.guest.disk).open() as source:
        for offset in (0, size - 512):
            same(restored(source, offset, 512), pattern("edge", 512), f"512 bytes at {offset}")


@case(REQUIREMENT, needs=("guest", "disks.running", "disks.random_access"))
def changes_of_a_running_one_are_reported(lab: Lab) -> None:
    """What a running guest changed is reported, and again after it was stopped and started."""
    name, before, tokens = _begun(lab, running=True)
    lab.guest.write(name, 2 * AREA, pattern("running", AREA))
    _since(lab, name, tokens, before)
    lab.lifecycle.stop(name, force=True)
    lab.lifecycle.start(name)
    lab.guest.zero(name, 4 * AREA, AREA)
    _since(lab, name, tokens, before)


@case(REQUIREMENT, needs=("guest",))
def changes_add_up_over_views(lab: Lab) -> None:
    """A token stays good while later views come and go, and each token means its own moment."""
    name, before, first = _begun(lab)
    lab.guest.write(name, AREA, pattern("second", 4096))
    middle = lab.guest.read(name, 0, WINDOW)
    second = committed(lab, name, first)
    lab.guest.write(name, 3 * AREA, pattern("third", 4096))
    _since(lab, name, second, middle)
    with lab.disks.view(name, first) as view:
        disk = disk_of(view, lab.guest.disk)
        with disk.open() as source:
            # Older checkpoints may go when a later one is kept: then it is read in full.
            now = lab.guest.read(name, 0, WINDOW)
            parent = before if disk.incremental else b""
            same(restored(source, 0, WINDOW, parent), now, "the disk since the first token")


@case(REQUIREMENT, needs=("guest",))
def a_failed_backup_leaves_the_chain(lab: Lab) -> None:
    """A view that was not kept does not use up the changes: the next one reports them again."""
    name, before, tokens = _begun(lab)
    lab.guest.write(name, 2 * AREA, pattern("change", 4096))
    with lab.disks.view(name, tokens):
        pass
    _since(lab, name, tokens, before)


@case(REQUIREMENT, needs=("guest",))
def the_token_of_a_failed_backup_is_unknown(lab: Lab) -> None:
    """The token of a view that was not kept leads to a full read that says why. Where there are no
    records to remove, it may be known for good, and tells the truth."""
    name, before, _ = _begun(lab)
    with lab.disks.view(name, {}) as view:
        dropped = disk_of(view, lab.guest.disk).checkpoint
    if dropped is None:
        expect.fail("a view has no token though changed blocks are offered")
    lab.guest.write(name, 2 * AREA, pattern("change", 4096))
    with lab.disks.view(name, {lab.guest.disk: dropped}) as view:
        known = disk_of(view, lab.guest.disk).incremental
    if known and not lab.offers("checkpoints"):
        _since(lab, name, {lab.guest.disk: dropped}, before)
    else:
        _read_in_full(lab, name, dropped)


@case(REQUIREMENT, needs=("guest",))
def unknown_tokens_are_no_error(lab: Lab) -> None:
    """A token that is made up, empty or damaged leads to a full read that says why."""
    name, _, tokens = _begun(lab)
    good = tokens[lab.guest.disk]
    lab.guest.write(name, 2 * AREA, pattern("change", 4096))
    for token in ("", "kit:no:such:token", good[:-1], good + "0", good.swapcase()):
        if token != good:
            _read_in_full(lab, name, token)


@case(REQUIREMENT, needs=("guest",))
def tokens_of_others_are_not_believed(lab: Lab) -> None:
    """The token of another instance leads to a full read, also under the name of a deleted one."""
    name, _, tokens = _begun(lab)
    other = lab.create().name
    lab.guest.write(other, 2 * AREA, pattern("other", 4096))
    _read_in_full(lab, other, tokens[lab.guest.disk])
    lab.lifecycle.delete(name, disks=True)
    lab.create(lab.spec(name=name))
    _read_in_full(lab, name, tokens[lab.guest.disk])


def _read_in_full(lab: Lab, name: str, token: str) -> None:
    now = lab.guest.read(name, 0, WINDOW)
    with lab.disks.view(name, {lab.guest.disk: token}) as view:
        disk = disk_of(view, lab.guest.disk)
        expect.true(not disk.incremental, f"the token {token!r} was believed")
        expect.true(bool(disk.reason), "it does not say why it is read in full")
        with disk.open() as source:
            same(restored(source, 0, WINDOW), now, "the disk read in full")


@case(REQUIREMENT, needs=("guest",))
def full_can_be_asked_for(lab: Lab) -> None:
    """A view since a token can also be read in full."""
    name, before, tokens = _begun(lab)
    with (
        lab.disks.view(name, tokens) as view,
        disk_of(view, lab.guest.disk).open(full=True) as source,
    ):
        expect.lacks(kinds(source, 0, WINDOW), UNCHANGED, "kinds of a full read")
        same(restored(source, 0, WINDOW), before, "the disk read in full")


@case(REQUIREMENT, needs=("guest",))
def a_new_connection_knows_the_record(lab: Lab) -> None:
    """The record of changes outlives the connection that began it."""
    name, before, tokens = _begun(lab)
    lab.hypervisor.close()
    lab.guest.write(name, 2 * AREA, pattern("change", 4096))
    with lab.connect().disks.view(name, tokens) as view:
        disk = disk_of(view, lab.guest.disk)
        _incremental(disk)
        with disk.open() as source:
            now = lab.guest.read(name, 0, WINDOW)
            same(restored(source, 0, WINDOW, before), now, "what was before, with the changes")


@case(REQUIREMENT, needs=("guest", "snapshots.revert"))
def a_reverted_disk_is_not_lied_about(lab: Lab) -> None:
    """After a snapshot was reverted a token leads to the right content, however it is read."""
    name = lab.create().name
    lab.guest.write(name, 0, pattern("before", 6 * AREA))
    lab.snapshots.create(name, "kit")
    lab.guest.write(name, 2 * AREA, pattern("lost", AREA))
    with lab.disks.view(name, {}) as view:
        with disk_of(view, lab.guest.disk).open() as source:
            middle = restored(source, 0, WINDOW)
        view.keep_checkpoints()
        token = disk_of(view, lab.guest.disk).checkpoint or ""
    # Some backends revert nothing while there are checkpoints, and say so.
    expect.tolerated(InvalidState, lambda: lab.snapshots.revert(name, "kit"))
    now = lab.guest.read(name, 0, WINDOW)
    with (
        lab.disks.view(name, {lab.guest.disk: token}) as view,
        disk_of(view, lab.guest.disk).open() as source,
    ):
        same(restored(source, 0, WINDOW, middle), now, "the disk after the revert")


@case("checkpoints", needs=("guest", REQUIREMENT))
def checkpoints_are_listed(lab: Lab) -> None:
    """A checkpoint that was kept is listed with its disk; one that was dropped is not."""
    name, _, tokens = _begun(lab)
    listed = lab.checkpoints.checkpoints(name)
    expect.equal(len(listed), 1, "how many checkpoints there are after one backup")
    expect.contains(listed[0].disks, lab.guest.disk, "its disks")
    with lab.disks.view(name, tokens):
        pass
    expect.equal(lab.checkpoints.checkpoints(name), listed, "checkpoints after a failed backup")


@case("checkpoints", needs=("guest", REQUIREMENT))
def deleted_checkpoints_are_gone(lab: Lab) -> None:
    """A deleted checkpoint is not listed any more, and its token leads to a full read."""
    name, _, tokens = _begun(lab)
    for listed in lab.checkpoints.checkpoints(name):
        lab.checkpoints.delete(name, listed.name)
        delete = partial(lab.checkpoints.delete, name, listed.name)
        expect.raises(NotFound, delete, "deleting it again")
    expect.equal(list(lab.checkpoints.checkpoints(name)), [], "checkpoints")
    _read_in_full(lab, name, tokens[lab.guest.disk])
