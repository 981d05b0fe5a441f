"""``--groupBy`` and ``--prune``, with a clock that is handed in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hypersdk import BackupOptions, backup_image, open_repository
from tests.cli.vmsnap.conftest import Domains, Snap
from tests.kvm.domains import DiskSpec
from tests.kvm.fixtures import Lab

MONTH = ("--groupBy", "month")
OCTOBER, NOVEMBER = "vmsnap-backup-monthly-2026-10", "vmsnap-backup-monthly-2026-11"


def folders(snap: Snap) -> list[str]:
    return sorted(path.name for path in snap.output.iterdir())


@pytest.mark.parametrize(
    ("grouping", "folder"),
    [
        ("month", NOVEMBER),
        ("quarter", "vmsnap-backup-quarterly-2026-Q4"),
        ("bi-annual", "vmsnap-backup-bi-annually-2026-p2"),
        ("year", "vmsnap-backup-yearly-2026"),
    ],
)
def test_grouping(snap: Snap, domains: Domains, grouping: str, folder: str) -> None:
    domains("web")
    result = snap.backup("web", f"--groupBy={grouping}", now="2026-11-21")
    assert folders(snap) == [folder]
    assert (snap.output / folder / "web").is_dir()
    assert result.json["repository"] == str(snap.output / folder)


def test_a_bad_grouping_names_the_good_ones(snap: Snap) -> None:
    err = snap.backup("web", "--groupBy", "monthly", expect=3).err
    assert "'monthly' is not one of month, quarter, bi-annual, year" in err
    assert "Did you mean 'month'?" in err


def test_a_new_period_begins_anew_while_the_guest_runs(snap: Snap, domains: Domains) -> None:
    web = domains("web")
    snap.backup("web", *MONTH, now="2026-10-30")
    snap.backup("web", *MONTH, now="2026-10-31")
    assert web.checkpoints == ["virtnbdbackup.0", "virtnbdbackup.1"]
    (entry,) = snap.backup("web", *MONTH, now="2026-11-01").json["domains"]
    assert entry["cleared"] == ["virtnbdbackup.0", "virtnbdbackup.1"]
    assert not entry["point"]["disks"][0]["incremental"]
    assert web.checkpoints == ["virtnbdbackup.0"]
    (entry,) = snap.backup("web", *MONTH, now="2026-11-02").json["domains"]
    assert entry["point"]["disks"][0]["incremental"]
    assert folders(snap) == [OCTOBER, NOVEMBER]
    status = snap("--output", snap.output, *MONTH, "--strict", "--json", "--machine",
                  now="2026-11-02").json["web"]  # fmt: skip
    assert status["overallStatus"] == 0
    assert status["backupDirStats"]["path"] == str(snap.output / NOVEMBER / "web")


def test_pruning_waits_for_half_of_the_period(snap: Snap, domains: Domains) -> None:
    domains("web")
    snap.backup("web", *MONTH, now="2026-08-10")
    snap.backup("web", *MONTH, now="2026-10-10")
    (entry,) = snap.backup("web", *MONTH, "--prune", now="2026-11-15").json["domains"]
    assert entry["pruned"] == []
    assert len(folders(snap)) == 3
    (entry,) = snap.backup("web", *MONTH, now="2026-11-20").json["domains"]
    assert len(folders(snap)) == 3  # only with --prune
    (entry,) = snap.backup("web", *MONTH, "--no-prune", now="2026-11-20").json["domains"]
    assert len(folders(snap)) == 3
    (entry,) = snap.backup("web", *MONTH, "--prune", now="2026-11-20").json["domains"]
    assert [(each["folder"], each["whole"]) for each in entry["pruned"]] == [
        ("vmsnap-backup-monthly-2026-08", True),
        (OCTOBER, True),
    ]
    assert entry["verified"]
    assert folders(snap) == [NOVEMBER]


def test_without_a_grouping_pruning_goes_by_months(snap: Snap, domains: Domains) -> None:
    domains("web")
    snap.backup("web", *MONTH, now="2026-10-10")
    snap.backup("web", "--prune", now="2026-11-20")
    assert folders(snap) == [NOVEMBER]


def test_one_repository_for_all_times_is_not_left(snap: Snap, domains: Domains) -> None:
    domains("web")
    snap.backup("web")
    assert "--keep-daily" in snap.backup("web", "--prune", expect=3).err
    assert folders(snap) == [".hypersdk", "web"]


def test_a_domain_loses_only_its_own_old_backups(snap: Snap, domains: Domains) -> None:
    domains("web")
    domains("db")
    snap.backup("*", *MONTH, now="2026-10-10")
    (entry,) = snap.backup("web", *MONTH, "--prune", now="2026-11-20").json["domains"]
    assert [(each["points"], each["whole"]) for each in entry["pruned"]] == [(1, False)]
    with open_repository(snap.output / OCTOBER) as october:
        assert [point.instance for point in october.points()] == ["db"]
    (entry,) = snap.backup("db", *MONTH, "--prune", now="2026-11-20").json["domains"]
    assert [each["whole"] for each in entry["pruned"]] == [True]


def test_a_failed_backup_prunes_nothing(snap: Snap, domains: Domains) -> None:
    web = domains("web", running=False)
    snap.backup("web", *MONTH, now="2026-10-10")
    web.image.unlink()
    snap.backup("web", *MONTH, "--prune", now="2026-11-20", expect=3)
    with open_repository(snap.output / OCTOBER) as october:
        assert len(october.points("web")) == 1


def test_a_damaged_backup_prunes_nothing(snap: Snap, domains: Domains) -> None:
    domains("web").write("write -P 0x55 4M 8M")
    snap.backup("web", *MONTH, now="2026-10-10")
    snap.backup("web", *MONTH, now="2026-11-01")
    for pack in (snap.output / NOVEMBER / ".hypersdk" / "packs").rglob("*"):
        if pack.is_file():
            content = bytearray(pack.read_bytes())
            content[len(content) // 4] ^= 0xFF
            pack.chmod(0o600)
            pack.write_bytes(content)
    result = snap.backup("web", *MONTH, "--prune", now="2026-11-20", expect=3)
    (entry,) = result.json["domains"]
    assert entry["error"]["kind"] == "Damaged"
    assert entry["point"] is not None
    assert folders(snap) == [OCTOBER, NOVEMBER]


def test_pinned_points_and_foreign_files_stay(snap: Snap, domains: Domains, tmp_path: Path) -> None:
    domains("web")
    snap.backup("web", *MONTH, now="2026-10-10")
    image = tmp_path / "image"
    image.write_bytes(bytes(1 << 20))
    with open_repository(snap.output / OCTOBER) as october:
        pinned = backup_image(october, image, "web", options=BackupOptions(pinned=True))
    (snap.output / "vmsnap-backup-monthly-2020-01").mkdir()
    (snap.output / "vmsnap-backup-monthly-2020-01" / "notes.txt").write_text("mine")
    result = snap.backup("web", *MONTH, "--prune", now="2026-11-20")
    (entry,) = result.json["domains"]
    assert [(each["points"], each["whole"]) for each in entry["pruned"]] == [(1, False)]
    with open_repository(snap.output / OCTOBER) as october:
        assert [point.id for point in october.points()] == [pinned.id]
    assert (snap.output / "vmsnap-backup-monthly-2020-01" / "notes.txt").exists()


def test_the_only_backup_of_a_disk_stays(snap: Snap, domains: Domains, lab: Lab) -> None:
    raw = DiskSpec(lab.image("data.img", format="raw"), target="vdb", format="raw")
    domains("web", more=[raw])
    snap.backup("web", *MONTH, "--raw", now="2026-10-10")
    result = snap.backup("web", *MONTH, "--prune", now="2026-11-20")
    (entry,) = result.json["domains"]
    assert (entry["left_out"], entry["pruned"]) == (["vdb"], [])
    assert "stays for vdb of web; add --raw" in result.err
    (entry,) = snap.backup("web", *MONTH, "--raw", "--prune", now="2026-11-20").json["domains"]
    assert [each["whole"] for each in entry["pruned"]] == [True]


def test_a_new_period_is_not_less_protected(snap: Snap, domains: Domains) -> None:
    domains("web")
    environment = {**snap.environment, "HYPERSDK_PASSPHRASE": "correct horse"}
    encrypting = Snap(snap.uri, snap.output, environment)
    encrypting.backup("web", *MONTH, "--encrypt", now="2026-10-10")
    result = encrypting.backup("web", *MONTH, now="2026-11-10", expect=3)
    assert "the new period would not be" in result.err
    encrypting.backup("web", *MONTH, "--encrypt", "--prune", now="2026-11-20")
    assert folders(snap) == [NOVEMBER]


def test_restoring_from_the_period_that_has_it(
    snap: Snap, domains: Domains, tmp_path: Path
) -> None:
    domains("web")
    domains("db")
    snap.backup("web,db", *MONTH, now="2026-10-10")
    snap.backup("web", *MONTH, now="2026-11-10")
    restore = ("--restore", "db", "--output", snap.output, "--to", tmp_path / "back", "--json")
    with open_repository(snap.output / OCTOBER) as october:
        (point,) = october.points("db")
    assert snap(*restore).json["point"]["id"] == point.id
    report = snap("--verify", "--output", snap.output, "--domains", "*", "--json").json
    assert [each["domain"] for each in report["verifications"]] == ["db", "web"]
    shutil.rmtree(snap.output / OCTOBER)
    snap(*restore[:-1], "--overwrite", expect=3)


def test_periods_in_a_bucket(snap: Snap, domains: Domains, s3_location: str) -> None:
    domains("web")
    words = ("--backup", "--domains", "web", "--output", s3_location, *MONTH, "--json")
    snap(*words, now="2026-10-10")
    (entry,) = snap(*words, "--prune", now="2026-11-20").json["domains"]
    assert [(each["folder"], each["whole"]) for each in entry["pruned"]] == [(OCTOBER, True)]
    (entry,) = snap(*words, "--prune", now="2026-11-20").json["domains"]
    assert entry["pruned"] == []
    stats = snap("--output", s3_location, *MONTH, "--json", "--machine", now="2026-11-20").json
    assert stats["web"]["backupDirStats"]["totalFiles"] == 2
