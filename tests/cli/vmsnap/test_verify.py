from __future__ import annotations

from tests.cli.vmsnap.conftest import Domains, Snap


def test_everything_or_the_newest_of_a_domain(snap: Snap, domains: Domains) -> None:
    domains("web").write("write -P 0x42 4M 4M")
    domains("db")
    snap.backup("*")
    where = ("--verify", "--output", snap.output)
    (entry,) = snap(*where, "--json").json["verifications"]
    assert (entry["domain"], entry["report"]["level"]) == (None, "content")
    assert "all is well" in snap(*where).out
    result = snap(*where, "--domains", "web,d*", "--json", "--machine")
    assert [each["domain"] for each in result.json["verifications"]] == ["web", "db"]
    assert "there is no backup of nope" in snap(*where, "--domains", "nope", expect=1).err
    assert "--output" in snap("--verify", expect=2).err
    assert "no backups" in snap("--verify", "--output", snap.output / "web", expect=2).err


def test_damage(snap: Snap, domains: Domains) -> None:
    domains("web").write("write -P 0x42 4M 4M")
    snap.backup("web")
    for pack in (snap.output / ".hypersdk" / "packs").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(b"\0" * pack.stat().st_size)
    result = snap("--verify", "--output", snap.output, "--json", expect=3)
    assert result.json["error"]["kind"] == "Damaged"
    assert not result.json["verifications"][0]["report"]["ok"]
