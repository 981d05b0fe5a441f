from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.cache import Cache
from hypersdk.drivers.mock.files import replace_file


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path, read = tmp_path / "file", []

    def decode(content: bytes) -> bytes:
        read.append(content)
        return content

    cache = Cache()
    for number in range(200):  # of the same length, quicker than the kernel's clock ticks
        content = b"%03d" % number
        replace_file(path, content, durable=False)
        assert cache.read(str(path), decode) == content
        assert cache.read(str(path), decode) == content
    assert len(read) == 200
    path.unlink()
    with pytest.raises(FileNotFoundError):
        cache.read(str(path), decode)


def test_what_cannot_be_decoded_is_not_kept(tmp_path: Path) -> None:
    path, cache = tmp_path / "file", Cache()
    path.write_bytes(b"x")
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            cache.read(str(path), int)
