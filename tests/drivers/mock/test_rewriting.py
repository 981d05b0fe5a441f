from __future__ import annotations

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import InvalidState
from tests.drivers.mock.lab import GRANULE, kept, kinds


def test_what_is_rewritten_stays_and_is_recorded(mock: MockHypervisor) -> None:
    mock.lifecycle.stop("web")
    since = kept(mock)
    with mock.disks.rewrite("web") as rewriting:
        with rewriting.sink("vda") as sink:
            sink.write(GRANULE, memoryview(b"new"))
        with rewriting.source("vda") as source:
            buffer = bytearray(3)
            source.readinto(GRANULE, memoryview(buffer))
        assert buffer == b"new"
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert [kind[0] for kind in kinds(source, 0, 3 * GRANULE)] == [".", "D", "."]


def test_it_cannot_be_started_deleted_or_rewritten_meanwhile(mock: MockHypervisor) -> None:
    mock.snapshots.create("web", "one")
    mock.lifecycle.stop("web")
    with mock.disks.rewrite("web"):
        for call in (
            lambda: mock.lifecycle.start("web"),
            lambda: mock.lifecycle.delete("web"),
            lambda: mock.snapshots.revert("web", "one"),
            lambda: mock.disks.rewrite("web"),
        ):
            with pytest.raises(InvalidState, match="being rewritten"):
                call()
    mock.lifecycle.start("web")


def test_a_running_instance_is_not_rewritten(mock: MockHypervisor) -> None:
    with pytest.raises(InvalidState, match="Stop it first"):
        mock.disks.rewrite("web")
