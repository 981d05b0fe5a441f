"""Exports that take the place of others: with ``--force`` and ``--overwrite``."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from tests.cli.hyperexport.conftest import Export
from tests.cli.hyperexport.processes import running, wait_for

MIB = 1 << 20


def write(lab: MockHypervisor, content: bytes) -> None:
    with lab.guest("web", "vda") as guest:
        guest.write(0, content)


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


@pytest.mark.parametrize("how", ["--force", "--overwrite"])
def test_what_only_the_old_one_had_goes(
    export: Export, lab: MockHypervisor, work: Path, how: str
) -> None:
    export("web", "--format", "ova", "--output", "here", "--quiet")
    (work / "here" / "notes.txt").write_text("not ours")
    write(lab, b"\7" * MIB)
    export("web", "--format", "raw", "--output", "here", how, "--quiet")
    assert files(work / "here")["web-disk-0.raw"].startswith(b"\7" * MIB)
    assert not list((work / "here").glob("*.ova*"))
    assert (work / "here" / "notes.txt").read_text() == "not ours"
    export("verify", "here", "--quiet")


def test_that_it_is_replaced_is_said(export: Export) -> None:
    export("web", "--quiet")
    result = export("web", "--force")
    assert "critical: web: " in result.err
    assert "holds an export of web already" in result.err


def test_of_others_nothing_goes(export: Export, work: Path) -> None:
    """Two in one folder share the list of checksums, not their files."""
    export("db", "--format", "ova", "--output", "here", "--quiet")
    export("web", "--output", "here", "--force", "--quiet")
    assert (work / "here" / "db.ova").exists()


def test_killed_on_the_way_the_old_one_stays(
    export: Export, lab: MockHypervisor, work: Path
) -> None:
    export("web", "--output", "here", "--quiet")
    before = files(work / "here")
    write(lab, random.Random(1).randbytes(4 * MIB))
    slow = ("--bandwidth-limit", "1", "--bandwidth-burst", "64KiB")
    with running("web", "-H", export.url, "--output", "here", "--force", *slow) as child:
        wait_for(lambda: list((work / "here" / ".web.partial").glob("*.vmdk")), child)
        time.sleep(0.3)
    unfinished = files(work / "here")
    assert {name: unfinished.get(name) for name in before} == before
    export("verify", "here", "--quiet")
    export("web", "--output", "here", "--force", "--quiet")
    export("verify", "here", "--quiet")
    assert set(files(work / "here")) == set(before)
    assert files(work / "here") != before
