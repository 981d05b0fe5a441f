"""``hyperctl repo``, ``backup`` and ``restore``"""

from __future__ import annotations

import re
from pathlib import Path

from hypersdk import Protect, init_repository
from tests.cli.hyperctl.conftest import Control
from tests.client.worked import MIB, Worked


def test_from_a_backup_to_a_restored_instance(work: Control, worked: Worked) -> None:
    words = ("backup", "web", "-H", "lab", "-repo", "main", "-tag", "why=test", "-wait")
    result = work(*words)
    (id,) = re.findall(r"(?m)^Job ID: (\S+)$", result.out)
    assert result.out == f"Job ID: {id}\n{id} completed\n"
    (job,) = work("query", "-id", id, "-json").json["jobs"]
    assert job["result"]["stored"] >= 2 * MIB

    (point,) = work("repo", "points", "main", "-instance", "web", "-json").json["points"]
    assert (point["id"], point["size"]) == (job["result"]["point"], 4 * MIB)
    table = work("repo", "points", "main", "-instance", "web").out.splitlines()
    assert re.split("  +", table[1])[:2] == [point["id"], "web"]

    restore = ("restore", "web", "-repo", "main", "-to-hypervisor", "lab", "-as", "web-2")
    assert work(*restore, "-wait").out.endswith(" completed\n")
    assert worked.lab.inventory is not None
    assert worked.lab.inventory.instance("web-2").disks[0].size == 4 * MIB
    failed = work(*restore, "-wait", expect=1)
    assert "'web-2'" in failed.err

    folder = worked.folder / "restored"
    files = ("restore", "web", "-repo", "main", "-to-folder", folder, "-format", "raw", "-wait")
    work(*files)
    (image,) = (path for path in folder.rglob("*") if path.stat().st_size == 4 * MIB)
    with worked.lab.guest("web", "vda") as guest, image.open("rb") as restored:
        assert restored.read(2 * MIB) == guest.read(0, 2 * MIB)


def test_looking_after_one(work: Control) -> None:
    work("backup", "db", "-H", "lab", "-repo", "main", "-wait")
    shown = work("repo", "show", "main").out
    assert re.search(r"(?m)^location: +/\S+/repository$", shown)
    assert re.search(r"(?m)^encrypted: no$", shown)
    assert re.search(r"(?m)^stored: +[\d.]+ MiB$", shown)
    document = work("repo", "show", "main", "-json").json
    assert {"name", "points"} <= document.keys()
    for words in (
        ["verify", "main"],
        ["verify", "main", "-level", "stored", "-instance", "db"],
        ["prune", "main", "-keep", "last=1", "-keep", "within=7d"],
        ["gc", "main"],
    ):
        result = work("repo", *words, "-wait")
        assert result.out.endswith(" completed\n"), words


def test_rules_are_needed(work: Control) -> None:
    assert "'--keep'" in work("repo", "prune", "main", expect=2).err
    wrong = work("repo", "prune", "main", "-keep", "dayly=7", expect=1)
    assert "daily" in wrong.err


def test_the_life_of_one(control: Control, tmp_path: Path) -> None:
    init_repository(tmp_path / "repo", protect=Protect.none(), cache=tmp_path / "cache").close()
    made = control("repo", "add", "second", tmp_path / "repo", "-description", "spare").out
    assert re.search(rf"(?m)^location: +{re.escape(str(tmp_path))}/repo$", made)
    assert "second" in control("repo", "list").out
    assert control("repo", "show", "second").out.startswith(made.rstrip())
    deleted = control("repo", "delete", "second")
    assert deleted.out == "second deleted; what is stored in it is untouched\n"
    assert (tmp_path / "repo" / ".hypersdk").exists()
    assert "there is no repository" in control("repo", "points", "second", expect=1).err
