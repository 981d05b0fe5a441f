"""Tar archives that are laid out: every reader must see what was in the plain one."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.datapath.archive import BLOCK, lay_out
from hypersdk.model.errors import DataPathError
from tests.components import require
from tests.repository.examples import KIB, MIB, noise

#: Header and content of everything in an archive.
Listing = list[tuple[Mapping[str, object], bytes]]


def pieces(content: bytes, size: int = 70_001) -> Iterator[bytes]:
    """As a network would deliver it."""
    return (content[at : at + size] for at in range(0, len(content), size))


def laid_out(stream: Iterable[bytes]) -> bytes:
    with tempfile.TemporaryFile() as file:
        size = lay_out(stream, file.fileno())
        file.seek(0)
        content = file.read()
        assert len(content) == size
        return content


def archive(files: Mapping[str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), 1_700_000_000
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def listing(content: bytes) -> Listing:
    found: Listing = []
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for each in tar:
            file = tar.extractfile(each) if each.isreg() else None
            content_of = file.read() if file else b""
            found.append((dict(each.get_info()), content_of))
    return found


def chunks(content: bytes, size: int = BLOCK) -> set[bytes]:
    """The different chunks that a repository would store: zeroes are not."""
    found = {content[at : at + size] for at in range(0, len(content), size)}
    return {chunk for chunk in found if any(chunk)}


def tree(small: int = 400, large: int = 6) -> dict[str, bytes]:
    """Like a system: many small files of all sizes, some large ones among them."""
    files = {f"etc/{n:04}": noise(200 + n * 37 % 9000, seed=n) for n in range(small)}
    files |= {f"lib/{n}.so": noise(BLOCK + n * 77_777, seed=1000 + n) for n in range(large)}
    files |= {f"var/{n:04}": noise(n * 91 % 20_000, seed=5000 + n) for n in range(small)}
    return files


@pytest.fixture
def everything(tmp_path: Path) -> bytes:
    """What GNU tar makes of a folder with all kinds of files."""
    require("tar")
    root = tmp_path / "root"
    root.mkdir()
    (root / "small").write_bytes(b"x")
    (root / "empty").write_bytes(b"")
    (root / "large").write_bytes(noise(3 * BLOCK + 17))
    (root / ("n" * 200)).write_bytes(noise(300))
    os.symlink("t" * 150, root / "symlink")
    os.link(root / "small", root / "zhardlink")
    os.mkfifo(root / "pipe", 0o640)
    with (root / "sparse").open("wb") as file:
        file.truncate(8 * MIB)
        for at in range(0, 8 * MIB, 256 * KIB):  # so many that the map needs more headers
            os.pwrite(file.fileno(), b"data", at)
    os.utime(root / "small", (1_600_000_000.25, 1_600_000_000.25))
    return subprocess.run(
        ["tar", "-C", root, "-cS", "--sort=name", "--format=gnu", "."],
        capture_output=True,
        check=True,
    ).stdout


def test_all_kinds_of_entries_stay_as_they_are(everything: bytes) -> None:
    assert listing(laid_out(pieces(everything))) == listing(everything)


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_large_files_in_both_dialects(format: int) -> None:
    plain = archive({"a/" * 150 + "b": noise(BLOCK), "ü" * 120: b"", "c": noise(9)}, format)
    assert listing(laid_out(pieces(plain))) == listing(plain)


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1 << 20])
def test_it_does_not_matter_how_the_stream_is_cut(size: int) -> None:
    plain = archive({"a": noise(3000), "b": noise(BLOCK + 1), "c": b""})
    assert laid_out(pieces(plain, size)) == laid_out([plain])


def test_large_files_begin_on_blocks() -> None:
    content = laid_out([archive(tree())])
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        large = [entry for entry in tar if entry.size >= BLOCK]
    assert len(large) == 6
    assert all(entry.offset_data % BLOCK == 0 for entry in large)


def test_laying_out_twice_changes_nothing() -> None:
    once = laid_out([archive(tree())])
    assert laid_out(pieces(once)) == once


def test_one_file_more_moves_little() -> None:
    files = tree()
    before = chunks(laid_out([archive(files)]))
    files["etc/0007-new"] = noise(2000)
    files["etc/0200"] = noise(1500)
    after = chunks(laid_out([archive(dict(sorted(files.items())))]))
    assert len(after - before) * 6 < len(after)
    # Which is what it is for: in the plain archive all behind the new file is new.
    plain = chunks(archive(tree())), chunks(archive(dict(sorted(files.items()))))
    assert len(plain[1] - plain[0]) * 10 > 9 * len(plain[1])


def test_no_two_gaps_have_one_name() -> None:
    """Docker refuses to make an image of an archive where they have."""
    content = laid_out([archive(tree())])
    names = [
        content[at : at + 100]
        for at in range(0, len(content), 512)
        if content[at + 156 : at + 157] == b"g" and content[at + 257 : at + 262] == b"ustar"
    ]
    assert len(names) == len(set(names)) > 10


def test_gaps_and_zeroes_take_no_space(tmp_path: Path) -> None:
    path = tmp_path / "laid.tar"
    with path.open("wb") as file:
        lay_out([archive({"z": bytes(20 * MIB), "n": noise(MIB)})], file.fileno())
    assert path.stat().st_size > 21 * MIB
    assert path.stat().st_blocks * 512 < 2 * MIB


@pytest.mark.parametrize("program", ["tar", "bsdtar", "busybox"])
def test_programs_read_it(program: str, tmp_path: Path, everything: bytes) -> None:
    require(program)
    (tmp_path / "laid.tar").write_bytes(laid_out([everything]))
    out = tmp_path / "out"
    out.mkdir()
    words = ["busybox", "tar"] if program == "busybox" else [program]
    if program == "busybox":  # which knows no sparse files, wherever they are
        (tmp_path / "laid.tar").write_bytes(laid_out([archive(tree(30, 2))]))
    done = subprocess.run(
        [*words, "-x", "-f", tmp_path / "laid.tar", "-C", out], capture_output=True, check=True
    )
    assert not done.stderr
    if program == "busybox":
        assert (out / "lib/1.so").read_bytes() == tree()["lib/1.so"]
    else:
        assert (out / "large").read_bytes() == noise(3 * BLOCK + 17)
        assert (out / "small").samefile(out / "zhardlink")
        assert (out / "sparse").stat().st_size == 8 * MIB


@pytest.mark.parametrize("cut", [100, 512, 513, 1024, 4000])
def test_a_stream_that_ends_too_early_is_an_error(cut: int) -> None:
    with pytest.raises(DataPathError, match="ends in its middle"):
        laid_out([archive({"a": noise(3000), "b": noise(300)})[:cut]])


def test_without_its_end_an_archive_is_not_complete() -> None:
    plain = archive({"a": noise(3000)})
    with pytest.raises(DataPathError, match="ends in its middle"):
        laid_out([plain[: 1536 + 3072 - 1024]])


@pytest.mark.parametrize(
    "content", [b"no archive " * 100, archive({"a": b"x"})[:100].ljust(2048, b"y")]
)
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(DataPathError, match="no tar archive"):
        laid_out([content])


@given(
    st.dictionaries(
        st.text("abc/ü", min_size=1, max_size=150).filter(lambda name: name.strip("/") != ""),
        st.integers(0, 3 * BLOCK),
        max_size=12,
    )
)
def test_any_archive_stays_what_it_is(sizes: dict[str, int]) -> None:
    plain = archive({name: b"\1" * size for name, size in sizes.items()})
    assert listing(laid_out(pieces(plain, 65_536))) == listing(plain)
