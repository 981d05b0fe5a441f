"""Checksums are those of the usual programs, in the files that these programs read."""

from __future__ import annotations

import hashlib
import io
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.artifacts.checksums import (
    ALGORITHMS,
    Checksum,
    DigestingOutput,
    digest_of,
    digest_of_stream,
    read_list,
    write_list,
    write_sidecar,
)
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import Interrupted, InvalidInput, NotFound
from tests.components import require

CONTENT = bytes(range(256)) * 9000
EXPECTED = {
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "sha512": hashlib.sha512(CONTENT).hexdigest(),
    "blake3": blake3(CONTENT).hexdigest(),
}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "web disk-0.vmdk"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digests_are_right(disk: Path, algorithm: str) -> None:
    counted: list[int] = []
    assert digest_of(disk, algorithm, progress=counted.append) == EXPECTED[algorithm]
    assert sum(counted) == len(CONTENT)
    assert digest_of_stream(io.BytesIO(CONTENT), algorithm) == EXPECTED[algorithm]
    output = DigestingOutput(io.BytesIO(), algorithm)
    output.write(CONTENT[:1000])
    output.write(CONTENT[1000:])
    assert output.checksum("a").digest == EXPECTED[algorithm]


@pytest.mark.parametrize(
    ("algorithm", "program"), [("sha256", "sha256sum"), ("sha512", "sha512sum")]
)
def test_the_usual_programs_check_them(disk: Path, algorithm: str, program: str) -> None:
    require(program)
    checksum = Checksum(disk.name, algorithm, digest_of(disk, algorithm))
    write_list(disk.parent, [checksum])
    sidecar = write_sidecar(disk, checksum)
    assert sidecar.name == f"{disk.name}.{algorithm}"
    for each in ("checksums.txt", sidecar.name):
        subprocess.run([program, "--strict", "-c", each], cwd=disk.parent, check=True)
        assert read_list(disk.parent / each) == (checksum,)


def test_lists_of_the_usual_programs_are_read(disk: Path) -> None:
    require("sha256sum")
    for flag in ("--text", "--binary", "--tag"):
        made = subprocess.run(
            ["sha256sum", flag, disk.name], cwd=disk.parent, check=True, capture_output=True
        )
        (disk.parent / "SUMS").write_bytes(made.stdout)
        assert read_list(disk.parent / "SUMS")[0].digest == EXPECTED["sha256"]


def test_blake3_is_not_taken_for_sha256(disk: Path) -> None:
    checksum = Checksum(disk.name, "blake3", EXPECTED["blake3"])
    assert read_list(write_list(disk.parent, [checksum])) == (checksum,)
    sidecar = write_sidecar(disk, checksum)
    assert read_list(sidecar) == (checksum,)
    # As b3sum writes it without --tag: the name of the sidecar says what it is.
    sidecar.write_text(f"{checksum.digest}  {disk.name}\n")
    assert read_list(sidecar) == (checksum,)


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a//b", "", ".", "a\\b", "a\nb"])
def test_no_name_leads_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name"):
        write_list(tmp_path, [Checksum(name, "sha256", "0" * 64)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["hello", "0" * 63 + "  a", "0" * 64 + "  ../a", f"MD5 (a) = {'0' * 64}", "0" * 64 + "  a\n"
     + "1" * 64 + "  a"],
)  # fmt: skip
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "checksums.txt").write_text(text)
    with pytest.raises(InvalidInput):
        read_list(tmp_path / "checksums.txt")


@given(content=st.binary(max_size=400))
def test_any_bytes_give_a_list_or_an_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-list"
    path.write_bytes(content)
    try:
        read_list(path)
    except InvalidInput:
        pass
    finally:
        path.unlink()


def test_it_can_be_cancelled(disk: Path) -> None:
    token = CancelToken()
    with pytest.raises(Interrupted):
        digest_of(disk, progress=lambda _: token.cancel(), cancel=token)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"disk\.vmdk"):
        digest_of(tmp_path / "disk.vmdk")


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(InvalidInput, match="md5") as caught:
        digest_of_stream(io.BytesIO(), "md5")
    assert "blake3" in caught.value.hint
