from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.model.errors import (
    InvalidInput,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from hypersdk.repository.store.descriptors import OPEN_FILES_MAX
from hypersdk.repository.store.local import LocalStore
from tests.repository.store.suite import StoreSuite


class TestLocalStore(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LocalStore]:
        store = LocalStore(tmp_path / "repository", create=True)
        yield store
        store.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def store(root: Path) -> Iterator[LocalStore]:
    store = LocalStore(root, create=True)
    yield store
    store.close()


def every_operation(store: LocalStore) -> dict[str, Callable[[], object]]:
    return {
        "put": lambda: store.put_if_absent("new/k", b"data"),
        "get": lambda: store.get("folder/k"),
        "get_into": lambda: store.get_into("folder/other", 0, memoryview(bytearray(1))),
        "list": lambda: list(store.list()),
        "list below": lambda: list(store.list("folder")),
        "folders": store.folders,
        "stat": lambda: store.stat("folder/k"),
        "delete": lambda: store.delete("folder/k"),
        "sweep": store.sweep_unfinished,
    }


class TestFiles:
    def test_are_readable_by_their_owner_alone(self, store: LocalStore, root: Path) -> None:
        store.put_if_absent("folder/k", b"x")
        assert (root / "folder/k").stat().st_mode & 0o777 == 0o600
        assert (root / "folder").stat().st_mode & 0o777 == 0o700
        assert (root / "folder/k").stat().st_nlink == 1

    def test_links_and_foreign_files_are_not_objects(self, store: LocalStore, root: Path) -> None:
        store.put_if_absent("folder/k", b"x")
        (root / "outside").symlink_to("/etc")
        (root / "folder/link").symlink_to("/etc/hostname")
        (root / "lost+found").mkdir()
        (root / "lost+found" / "#12").touch()
        Path(os.fsdecode(bytes(root) + b"/not-utf8-\xff")).touch()
        assert [found.key for found in store.list()] == ["folder/k"]
        assert store.folders() == (".hypersdk", "folder")
        with pytest.raises(StoreError):
            store.get("folder/link")
        with pytest.raises(StoreError):
            store.get_into("folder/link", 0, memoryview(bytearray(1)))
        with pytest.raises(ObjectMissing):
            store.stat("folder/link")

    def test_a_name_below_an_object_is_refused(self, store: LocalStore) -> None:
        store.put_if_absent("k", b"x")
        with pytest.raises(StoreError, match="a part of k/below is an object"):
            store.put_if_absent("k/below", b"x")
        assert list(store.list("k")) == []

    def test_times_are_exact_to_the_microsecond(self, store: LocalStore, root: Path) -> None:
        store.put_if_absent("k", b"x")
        os.utime(root / "k", ns=(0, 1_700_000_000_123_456_789))
        modified = store.stat("k").modified
        assert (int(modified.timestamp()), modified.microsecond) == (1_700_000_000, 123_456)

    def test_a_cut_file_is_named(self, store: LocalStore, root: Path) -> None:
        store.put_if_absent("k", b"0123456789")
        store.get_into("k", 0, memoryview(bytearray(10)))
        os.truncate(root / "k", 4)
        with pytest.raises(StoreError, match="k has 4 bytes; 10 bytes from 0"):
            store.get_into("k", 0, memoryview(bytearray(10)))


class TestDurability:
    def test_order_of_a_put(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """The data is on disk before its name, and the name and new folders before the return."""
        trace: list[str] = []
        real = {name: getattr(os, name) for name in ("fdatasync", "fsync", "link")}

        def watch(name: str) -> Callable[..., object]:
            def call(*args: object) -> object:
                what = args[1] if name == "link" else os.readlink(f"/proc/self/fd/{args[0]}")
                trace.append(f"{name} {os.path.relpath(str(what), store.root)}")
                return real[name](*args)

            return call

        for name in real:
            monkeypatch.setattr(os, name, watch(name))
        store.put_if_absent("a/b/k", b"x")
        assert trace[0].startswith("fdatasync .hypersdk/tmp/")
        # The first link fails, for want of the folder.
        assert trace[1:] == ["link a/b/k", "link a/b/k", "fsync a/b", "fsync a", "fsync ."]
        trace.clear()
        store.put_if_absent("a/b/second", b"x")
        assert trace[1:] == ["link a/b/second", "fsync a/b"]
        trace.clear()
        with pytest.raises(ObjectExists):
            LocalStore(store.root).put_if_absent("a/b/k", b"x")
        # Its writer may be another process that did not come to this yet.
        assert trace == ["fsync a/b", "fsync a", "fsync ."]

    def test_a_killed_writer_leaves_whole_objects_only(self, root: Path) -> None:
        program = (
            "import sys; from hypersdk.repository.store.local import LocalStore\n"
            "store = LocalStore(sys.argv[1], create=True)\n"
            "for number in range(10**6):\n"
            "    store.put_if_absent(f'f/{number}', bytes([number % 256]) * 3_000_000)\n"
            "    print(number, flush=True)\n"
        )
        for delay in (0.0, 0.003, 0.007):
            shutil.rmtree(root, ignore_errors=True)
            writer = subprocess.Popen(
                [sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE
            )
            assert writer.stdout is not None
            for _ in range(3):
                writer.stdout.readline()
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
            acknowledged = 3 + len(writer.stdout.read().splitlines())
            writer.stdout.close()
            writer.wait()
            store = LocalStore(root)
            found = {int(info.key[2:]): info.size for info in store.list()}
            assert set(found.values()) == {3_000_000}
            assert set(range(acknowledged)) <= set(found)

    def test_unfinished_writes_are_invisible_and_swept_after_a_day(
        self, store: LocalStore, root: Path
    ) -> None:
        spool = root / ".hypersdk/tmp"
        old, young = spool / "1234-dead", spool / "5678-alive"
        for path in (old, young):
            path.write_bytes(b"half")
        day_ago = time.time() - timedelta(hours=24, minutes=1).total_seconds()
        os.utime(old, (day_ago, day_ago))
        store.put_if_absent("k", b"x")
        assert [found.key for found in store.list()] == ["k"]
        assert list(store.list(".hypersdk")) == []
        assert list(store.list(".hypersdk/tmp")) == []
        assert store.sweep_unfinished() == 1
        assert list(spool.iterdir()) == [young]
        assert store.sweep_unfinished(timedelta(seconds=-5)) == 1
        assert store.get("k") == b"x"


class TestOpenFiles:
    @staticmethod
    def held(root: Path) -> list[str]:
        links = []
        for name in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{name}"))
            except OSError:
                continue
        return [link for link in links if link.startswith(str(root))]

    def test_are_bounded_and_given_back(self, store: LocalStore, root: Path) -> None:
        for number in range(OPEN_FILES_MAX + 20):
            store.put_if_absent(f"f/{number}", bytes([number]))
            store.get_into(f"f/{number}", 0, memoryview(bytearray(1)))
        assert len(self.held(root)) == OPEN_FILES_MAX
        last = f"f/{OPEN_FILES_MAX + 19}"
        store.delete(last)
        assert len(self.held(root)) == OPEN_FILES_MAX - 1
        store.close()
        assert self.held(root) == []
        store.get_into("f/0", 0, memoryview(bytearray(1)))
        assert len(self.held(root)) == 1

    def test_notice_a_deletion_by_another_process(self, store: LocalStore, root: Path) -> None:
        store.put_if_absent("k", b"x")
        store.get_into("k", 0, memoryview(bytearray(1)))
        (root / "k").unlink()
        with pytest.raises(ObjectMissing):
            store.get_into("k", 0, memoryview(bytearray(1)))
        assert self.held(root) == []

    def test_readers_never_get_another_files_bytes(self, store: LocalStore) -> None:
        """Descriptors are evicted, and their numbers given away again, while others read."""
        count = OPEN_FILES_MAX * 2
        for number in range(count):
            store.put_if_absent(f"f/{number}", bytes([number]) * 64)
        wrong: list[int] = []

        def read(seed: int) -> None:
            buffer = bytearray(64)
            for step in range(1500):
                number = (step * seed) % count
                store.get_into(f"f/{number}", 0, memoryview(buffer))
                if buffer != bytes([number]) * 64:
                    wrong.append(number)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in (3, 7, 11, 31)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestVanishedRoot:
    @pytest.mark.parametrize("left_behind", [False, True], ids=["nothing", "an empty folder"])
    def test_every_operation_says_so_and_works_again_later(
        self, store: LocalStore, root: Path, left_behind: bool
    ) -> None:
        store.put_if_absent("folder/k", b"x")
        store.put_if_absent("folder/other", b"x")
        root.rename(root.with_name("elsewhere"))
        if left_behind:  # as a mount point remains when its disk is unmounted
            root.mkdir()
        for operation in every_operation(store).values():
            with pytest.raises(StoreUnavailable, match="has vanished; is the disk mounted"):
                operation()
        assert not root.exists() or list(root.iterdir()) == []
        if left_behind:
            root.rmdir()
        root.with_name("elsewhere").rename(root)
        for operation in every_operation(store).values():
            operation()

    def test_a_root_mounted_anew_is_recognised(self, store: LocalStore, root: Path) -> None:
        store.put_if_absent("k", b"x")
        copy = root.with_name("copy")
        shutil.copytree(root, copy)
        shutil.rmtree(root)
        copy.rename(root)
        assert store.get("k") == b"x"
        store.put_if_absent("second", b"y")
        assert {found.key for found in store.list()} == {"k", "second"}

    def test_is_not_made_unless_asked(self, root: Path) -> None:
        with pytest.raises(StoreUnavailable, match="does not exist\nCheck the path"):
            LocalStore(root)
        assert not root.exists()

    def test_a_file_is_no_root(self, root: Path) -> None:
        root.touch()
        with pytest.raises(StoreUnavailable):
            LocalStore(root)
        with pytest.raises(StoreError):
            LocalStore(root, create=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of one MiB of its own. Only root may mount it."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class TestRealDisk:
    def test_full(self, tiny_disk: Path) -> None:
        store = LocalStore(tiny_disk / "repository", create=True)
        store.put_if_absent("fits", bytes(600_000))
        with pytest.raises(StoreFull, match="no space left") as full:
            store.put_if_absent("folder/too-big", bytes(600_000))
        assert "Free space" in full.value.hint
        assert [found.key for found in store.list()] == ["fits"]
        assert os.listdir(tiny_disk / "repository/.hypersdk/tmp") == []
        store.put_if_absent("small", bytes(1000))
        store.delete("fits")
        store.put_if_absent("folder/too-big", bytes(600_000))

    def test_read_only(self, tiny_disk: Path) -> None:
        store = LocalStore(tiny_disk / "repository", create=True)
        store.put_if_absent("k", b"x")
        subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
        assert store.get("k") == b"x"
        assert [found.key for found in LocalStore(tiny_disk / "repository").list()] == ["k"]
        for refused in (
            lambda: store.put_if_absent("new", b"x"),
            lambda: store.delete("k"),
            lambda: LocalStore(tiny_disk / "another", create=True),
        ):
            with pytest.raises(StoreDenied, match="read-only filesystem\nMount it read-write"):
                refused()

    def test_unmounted_and_mounted_again(self, tiny_disk: Path) -> None:
        store = LocalStore(tiny_disk, create=True)
        store.put_if_absent("folder/k", b"x")
        subprocess.run(["umount", str(tiny_disk)], check=True)
        try:
            for operation in every_operation(store).values():
                with pytest.raises(StoreUnavailable, match="is the disk mounted"):
                    operation()
            assert os.listdir(tiny_disk) == []
        finally:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tiny_disk)], check=True)
        (tiny_disk / ".hypersdk").mkdir()
        store.put_if_absent("folder/k", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_without_permission(store: LocalStore, root: Path) -> None:
    store.put_if_absent("folder/k", b"x")
    (root / "folder").chmod(0o000)
    try:
        with pytest.raises(StoreDenied, match="no permission"):
            store.get("folder/k")
        with pytest.raises(StoreDenied):
            list(store.list())
    finally:
        (root / "folder").chmod(0o700)


def test_the_root_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore("repository", create=True)
    monkeypatch.chdir("/")
    store.put_if_absent("k", b"x")
    assert (tmp_path / "repository/k").exists()
    with pytest.raises(InvalidInput):
        store.put_if_absent("../k", b"x")
