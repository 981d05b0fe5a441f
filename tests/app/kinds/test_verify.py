from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.model.errors import Damaged, InvalidInput, PointNotFound
from tests.app.kinds.killed import kill, resume
from tests.app.kinds.lab import Lab

BACKUP = {"repository": "main", "hypervisor": "lab", "instance": "web"}


@pytest.fixture
def backed(lab: Lab) -> Lab:
    lab.run("backup", **BACKUP)
    return lab


def spoil(lab: Lab) -> None:
    pack = max((lab.root / "repository/.hypersdk/packs").rglob("*"), key=lambda p: p.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    Path(pack).chmod(0o600)
    pack.write_bytes(content)


def test_all_of_it_one_instance_one_point(backed: Lab) -> None:
    done = backed.run("verify", repository="main")
    assert done["intact"]
    assert done["level"] == "content"
    assert done["points"] == 1
    assert done["chunks"] > 60
    assert backed.run("verify", repository="main", instance="web")["points"] == 1
    one = backed.run("verify", repository="main", instance="web", point="latest", workers=1)
    assert one["chunks"] == done["chunks"]
    assert backed.run("verify", repository="main", level="stored")["level"] == "stored"


def test_damage_fails_the_job_unless_only_the_report_is_wanted(backed: Lab) -> None:
    spoil(backed)
    with pytest.raises(Damaged, match="main is damaged"):
        backed.run("verify", repository="main")
    assert any("damaged: " in line for line in backed.last.lines)
    assert backed.events[-1][:2] == ("backup.damaged", "repositories/main")
    done = backed.run("verify", repository="main", report_only=True)
    assert not done["intact"]
    assert any("web" in area for each in done["damage"] for area in each["breaks"])


def test_killed_it_is_done_again(backed: Lab) -> None:
    kill(backed.root, "verify", "lost verify", {"repository": "main"})
    assert resume(backed, "verify", {"repository": "main"}).result["intact"]


def test_refused(backed: Lab) -> None:
    with pytest.raises(InvalidInput, match=r"request\.instance is missing"):
        backed.run("verify", repository="main", point="latest")
    with pytest.raises(PointNotFound):
        backed.run("verify", repository="main", instance="gone")
