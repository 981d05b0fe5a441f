from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

import hypersdk
from hypersdk import Repository, RestoreOptions
from hypersdk.model.errors import (
    AlreadyExists,
    Damaged,
    HyperSDKError,
    Interrupted,
    InvalidInput,
    KeyRequired,
    NotFound,
    PartialFailure,
    PointNotFound,
)
from hypersdk.model.progress import Progress
from hypersdk.repository.format import PackKind
from hypersdk.repository.layout import pack_key
from tests.components import require
from tests.datapath.servers import qemu_nbd, run
from tests.flows.examples import (
    CHUNK,
    MIB,
    as_raw,
    disk_content,
    leftovers,
    noise,
    repository_at,
    stopping,
    write_image,
)
from tests.repository.examples import back_up, flip, replace_object

FORMATS = ("raw", "qcow2", "vmdk", "vhdx", "vdi")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return repository_at(tmp_path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder, where nothing may be left that has no final name."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def damage(repository: Repository, content: bytes) -> None:
    """Spoil the stored chunk with this content."""
    repository._index.refresh()
    for place in repository._index.find(repository.vault.chunk_id(content)):
        key = pack_key(place.pack)
        data = repository.store.get(key)
        replace_object(repository.store, key, flip(data, place.offset + 5))


@pytest.mark.parametrize("size", [4 * MIB, 3 * MIB + 512])
@pytest.mark.parametrize("format", FORMATS)
def test_formats(format: str, size: int, repository: Repository, out: Path) -> None:
    if format != "raw":
        require("qemu-img", "qemu-nbd")
    content = disk_content(size)
    point = back_up(repository, "web", content)
    target = out / f"disk.{format}"
    (done,) = hypersdk.restore(repository, point, target, options=RestoreOptions(format=format))
    assert (done.path, done.disk, done.size) == (target, "disk0", size)
    assert leftovers(out) == [target.name]
    restored = target.read_bytes() if format == "raw" else as_raw(target, format, size)
    assert restored == content


def test_zero_areas_are_holes(repository: Repository, out: Path) -> None:
    content = noise(CHUNK) + bytes(30 * MIB) + noise(100)
    point = back_up(repository, "web", content)
    (done,) = hypersdk.restore(repository, point, out / "disk.raw")
    assert (out / "disk.raw").read_bytes() == content
    assert os.stat(out / "disk.raw").st_blocks * 512 < MIB
    assert done.written == CHUNK + 100


@pytest.mark.parametrize("size", [0, 1, 30 * MIB])
def test_disks_that_are_all_zero(size: int, repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", bytes(size))
    (done,) = hypersdk.restore(repository, point, out / "disk.raw")
    assert (out / "disk.raw").read_bytes() == bytes(size)
    assert done.written == 0


def test_a_restored_disk_is_for_its_owner_only(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", noise(100))
    hypersdk.restore(repository, point, out / "disk.raw")
    assert stat.S_IMODE((out / "disk.raw").stat().st_mode) & 0o077 == 0


def test_any_point_not_only_the_last(repository: Repository, out: Path) -> None:
    points = [back_up(repository, "web", noise(3 * CHUNK, seed)) for seed in range(3)]
    for seed, point in enumerate(points):
        hypersdk.restore(repository, point, out / "disk", options=RestoreOptions(overwrite=True))
        assert (out / "disk").read_bytes() == noise(3 * CHUNK, seed)


def test_from_an_image_through_an_export_and_back(repository: Repository, out: Path) -> None:
    image = write_image(out / "disk.qcow2", disk_content(), "qcow2")
    with qemu_nbd(out, image, "--format=qcow2", "--read-only") as server:
        point = hypersdk.backup_image(repository, server.uri, "web")
    hypersdk.restore(repository, point, out / "again", options=RestoreOptions(format="qcow2"))
    run("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", image, out / "again")


# -- several disks


def three_disks() -> dict[str, bytes]:
    return {"vda": noise(CHUNK, seed=9), "pool/vdb": disk_content(MIB), "vdc": noise(50, seed=3)}


def test_several_disks_go_into_a_folder(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", three_disks())
    done = hypersdk.restore(repository, point, out / "new" / "folder")
    assert [(one.disk, one.path.name) for one in done] == [
        ("vda", "vda.img"), ("pool/vdb", "pool_vdb.img"), ("vdc", "vdc.img"),
    ]  # fmt: skip
    for one in done:
        assert one.path.read_bytes() == three_disks()[one.disk]


def test_one_of_several_disks(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", three_disks())
    hypersdk.restore(repository, point, out / "file", disk="vdc")
    assert (out / "file").read_bytes() == noise(50, seed=3)
    hypersdk.restore(repository, point, out, disk="pool/vdb")
    assert leftovers(out) == ["file", "pool_vdb.img"]


def test_disks_whose_names_give_the_same_file(repository: Repository, out: Path) -> None:
    disks = {"a/b": noise(10), "a_b": noise(10, seed=1), "../x": noise(10, seed=2)}
    point = back_up(repository, "web", disks)
    done = hypersdk.restore(repository, point, out / "web")
    assert {one.disk: one.path.read_bytes() for one in done} == disks
    assert leftovers(out) == ["web"]


def test_a_disk_that_is_not_there(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", three_disks())
    with pytest.raises(PointNotFound, match="no disk vdz"):
        hypersdk.restore(repository, point, out / "file", disk="vdz")
    assert leftovers(out) == []


def test_several_disks_do_not_fit_into_a_file(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", three_disks())
    (out / "file").write_bytes(b"mine")
    with pytest.raises(InvalidInput, match="3 disks") as caught:
        hypersdk.restore(repository, point, out / "file")
    assert "--disk" in caught.value.hint
    assert (out / "file").read_bytes() == b"mine"


def test_a_disk_that_cannot_be_restored_does_not_keep_the_others(
    repository: Repository, out: Path
) -> None:
    point = back_up(repository, "web", three_disks())
    damage(repository, noise(CHUNK, seed=9))
    with pytest.raises(PartialFailure, match="1 of 3 disks of web") as caught:
        hypersdk.restore(repository, point, out)
    assert "restored: pool/vdb, vdc" in caught.value.message
    assert caught.value.failures.keys() == {"vda"}
    assert isinstance(caught.value.failures["vda"], Damaged)
    assert leftovers(out) == ["pool_vdb.img", "vdc.img"]


# -- what is there already


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_what_is_there_is_not_replaced(format: str, repository: Repository, out: Path) -> None:
    require("qemu-img", "qemu-nbd")
    point = back_up(repository, "web", noise(CHUNK))
    target = out / "disk"
    target.write_bytes(b"mine")
    options = RestoreOptions(format=format)
    with pytest.raises(AlreadyExists, match=str(target)):
        hypersdk.restore(repository, point, target, options=options)
    assert target.read_bytes() == b"mine"
    assert leftovers(out) == ["disk"]
    options = RestoreOptions(format=format, overwrite=True)
    hypersdk.restore(repository, point, target, options=options)
    assert leftovers(out) == ["disk"]
    assert target.read_bytes() != b"mine"


def test_what_is_there_stays_when_the_restore_fails(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", noise(3 * CHUNK))
    damage(repository, noise(3 * CHUNK)[CHUNK : 2 * CHUNK])
    (out / "disk").write_bytes(b"mine")
    with pytest.raises(Damaged):
        hypersdk.restore(repository, point, out / "disk", options=RestoreOptions(overwrite=True))
    assert (out / "disk").read_bytes() == b"mine"
    assert leftovers(out) == ["disk"]


# -- failures


@pytest.mark.parametrize("format", ["raw", "qcow2"])
@pytest.mark.parametrize("kind", PackKind)
def test_damage_leaves_no_file(
    kind: PackKind, format: str, repository: Repository, out: Path
) -> None:
    require("qemu-img", "qemu-nbd")
    point = back_up(repository, "web", noise(3 * CHUNK))
    repository._index.refresh()
    (pack,) = (r.name for r in repository._index.packs().values() if r.kind is kind)
    data = repository.store.get(pack_key(pack))
    replace_object(repository.store, pack_key(pack), flip(data, 5))
    with pytest.raises(Damaged, match=pack.hex()) as caught:
        hypersdk.restore(repository, point, out / "disk", options=RestoreOptions(format=format))
    assert "verify" in caught.value.hint
    assert leftovers(out) == []


def test_a_folder_that_is_not_there(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", noise(CHUNK))
    with pytest.raises(NotFound, match="no/such"):
        hypersdk.restore(repository, point, out / "no" / "such" / "disk")
    several = back_up(repository, "db", three_disks())
    (out / "file").write_bytes(b"")
    with pytest.raises(HyperSDKError, match="file"):
        hypersdk.restore(repository, several, out / "file" / "folder")
    assert leftovers(out) == ["file"]


def test_no_format(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", noise(CHUNK))
    with pytest.raises(InvalidInput, match="floppy") as caught:
        hypersdk.restore(repository, point, out / "d", options=RestoreOptions(format="floppy"))
    assert "qcow2" in caught.value.hint
    assert leftovers(out) == []


def test_no_key(tmp_path: Path, out: Path) -> None:
    with repository_at(tmp_path) as repository:
        point = back_up(repository, "web", noise(CHUNK))
    location = tmp_path / "repository"
    with (
        hypersdk.open_repository(location, cache=tmp_path / "c") as locked,
        pytest.raises(KeyRequired),
    ):
        hypersdk.restore(locked, point, out / "disk")
    assert leftovers(out) == []


# -- progress, throttle, cancellation


def test_progress(repository: Repository, out: Path) -> None:
    content = noise(MIB) + bytes(3 * MIB)
    point = back_up(repository, "web", content)
    events: list[Progress] = []
    hypersdk.restore(repository, point, out / "disk", reporter=events.append)
    last = events[-1]
    assert (last.task, last.done, last.total, last.finished) == (
        "web/disk0", 4 * MIB, 4 * MIB, True,
    )  # fmt: skip
    assert (last.stored, last.zero) == (MIB, 3 * MIB)
    assert [event.finished for event in events].count(True) == 1


def test_throttle(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", noise(2 * MIB))
    began = time.monotonic()
    hypersdk.restore(repository, point, out / "d", options=RestoreOptions(throttle=4 * MIB))
    assert 0.25 < time.monotonic() - began < 3
    assert (out / "d").read_bytes() == noise(2 * MIB)


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_cancelled_restores_end_soon_and_leave_nothing(
    format: str, repository: Repository, out: Path
) -> None:
    require("qemu-img", "qemu-nbd")
    point = back_up(repository, "web", noise(16 * MIB))
    token = hypersdk.CancelToken()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        hypersdk.restore(
            repository,
            point,
            out / "disk",
            options=RestoreOptions(format=format, throttle=4 * MIB),
            reporter=stopping(token, MIB),
            cancel=token,
        )
    assert time.monotonic() - began < 3
    assert leftovers(out) == []


def test_cancelling_the_first_of_several_disks_ends_all(repository: Repository, out: Path) -> None:
    point = back_up(repository, "web", three_disks())
    token = hypersdk.CancelToken()
    token.cancel()
    with pytest.raises(Interrupted):
        hypersdk.restore(repository, point, out, cancel=token)
    assert leftovers(out) == []
