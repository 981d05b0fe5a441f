from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def backed_up(command: Runner, place: Path, image: Path) -> Path:
    command("backup", "--repo", place, "--image", image, "--name", "web")
    return place


def largest_pack(place: Path) -> Path:
    packs = [path for path in (place / ".hypersdk" / "packs").rglob("*") if path.is_file()]
    return max(packs, key=lambda path: path.stat().st_size)


def flip(path: Path, offset: int) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("level", ["stored", "content"])
def test_all_is_well(command: Runner, backed_up: Path, level: str) -> None:
    result = command("verify", backed_up, "--level", level)
    assert result.out.startswith(f"Verified {level}: 2 packs")
    assert result.out.endswith("all is well.\n")
    assert command("verify", backed_up, "--level", level, "--json").json["ok"] is True


def test_damage_is_named_to_the_byte(command: Runner, backed_up: Path) -> None:
    pack = largest_pack(backed_up)
    flip(pack, 1_000_000)
    result = command("verify", backed_up, "--json", expect=1)
    (damage,) = result.json["damage"]
    assert damage["object"].endswith(pack.name)
    assert damage["offset"] <= 1_000_000 < damage["offset"] + damage["length"]
    (area,) = damage["affected"]
    assert (area["instance"], area["disk"], area["length"]) == ("web", "disk0", 1 << 20)
    assert result.json["error"]["kind"] == "Damaged"

    spoken = command("verify", backed_up, expect=1)
    assert f"damaged: {damage['object']} at {damage['offset']}" in spoken.out
    assert f"chunk {damage['chunk']}" in spoken.out
    assert f"  breaks web {area['point']} disk0: 1048576 bytes at {area['start']}" in spoken.out
    assert "hypersdk: 1 damaged place found" in spoken.err


def test_the_next_backup_heals(command: Runner, backed_up: Path, image: Path) -> None:
    flip(largest_pack(backed_up), 1_000_000)
    command("verify", backed_up, expect=1)
    command("backup", "--repo", backed_up, "--image", image, "--name", "web")
    healed = command("verify", backed_up, "--json").json
    assert healed["damage"] == []
    assert len(healed["harmless"]) == 1


def test_one_point(command: Runner, backed_up: Path) -> None:
    assert "1 restore point" in command("verify", backed_up, "web").out


def test_content_needs_a_key_and_stored_does_not(
    command: Runner, tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, key = tmp_path / "sealed", tmp_path / "key"
    command("repo", "key", "generate", "--key-file", key)
    command("repo", "init", place, "--encrypt", f"keyfile={key}")
    command("backup", "--repo", place, "--image", image, "--name", "web", "--key-file", key)
    assert "all is well" in command("verify", place, "--level", "stored").out
    assert "key" in command("verify", place, expect=1).err
    monkeypatch.setenv("HYPERSDK_KEY_FILE", str(key))
    assert "all is well" in command("verify", place).out
