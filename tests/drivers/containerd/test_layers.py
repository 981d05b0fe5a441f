from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor

from hypersdk.conformance.targets.busybox import oci_archive, rootfs_tar
from hypersdk.drivers.containerd.api.types.mount_pb2 import Mount
from hypersdk.drivers.containerd.layers import chain_ids, read_only
from tests.drivers.containerd.lab import Lab


def test_chains_are_named_as_the_specification_says() -> None:
    """The second is the SHA-256 of "sha256:a sha256:b"."""
    first, second = chain_ids(["sha256:a", "sha256:b"])
    assert first == "sha256:a"
    assert second == "sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8"
    assert chain_ids([]) == []


def test_an_overlay_in_use_is_looked_at_as_lower_folders() -> None:
    used = Mount(
        type="overlay",
        source="overlay",
        options=["index=off", "workdir=/w", "upperdir=/u", "lowerdir=/l1:/l2"],
    )
    assert list(read_only(used).options) == ["index=off", "lowerdir=/u:/l1:/l2"]
    assert list(read_only(Mount(type="bind", source="/s", options=["rbind", "rw"])).options) == [
        "rbind",
        "ro",
    ]


def _layer(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_layers_lie_on_each_other(lab: Lab) -> None:
    layers = (rootfs_tar(), _layer(one="1", both="1"), _layer(two="2", both="2"))
    lab.hypervisor.images.load(io.BytesIO(oci_archive("lab.test/deep:1", layers=layers)))
    lab.running(image="lab.test/deep:1")
    assert lab.shell("cat /one /two /both") == b"122"
    lab.shell("echo x >/one")
    lab.hypervisor.snapshots.create("web", "first")
    lab.shell("rm /one /both")
    lab.hypervisor.snapshots.revert("web", "first")
    assert lab.shell("cat /one /both") == b"x\n2"


def test_a_new_image_is_unpacked_once_for_all(lab: Lab) -> None:
    """Taken in by another program that does not unpack, and used by twenty at once."""
    file = lab.daemon.folder / "new.tar"
    file.write_bytes(oci_archive("lab.test/new:1", layers=(rootfs_tar(), _layer(new="yes"))))
    lab.daemon.ctr("images", "import", "--no-unpack", str(file))
    file.unlink()
    with ThreadPoolExecutor(20) as pool:
        names = list(pool.map(lambda n: lab.created(f"web{n}", image="lab.test/new:1"), range(20)))
    assert len(names) == 20
    lab.hypervisor.lifecycle.start("web7")
    assert lab.shell("cat /new", "web7") == b"yes"


def test_a_hundred_from_many_threads(lab: Lab) -> None:
    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(lambda number: lab.created(f"many{number:03}"), range(100)))
        listed = [one.name for one in lab.hypervisor.inventory.instances()]
        assert listed == sorted(names)
        list(pool.map(lab.hypervisor.lifecycle.delete, names))
    assert list(lab.hypervisor.inventory.instances()) == []
