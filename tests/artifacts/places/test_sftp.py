"""A machine with OpenSSH is a place, when it is the one that is meant."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.artifacts.places.open import open_place
from hypersdk.artifacts.places.ports import Place
from hypersdk.artifacts.places.retrying import Patience
from hypersdk.artifacts.streams import ignore
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import (
    Interrupted,
    InvalidInput,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from tests.artifacts.places.sshserver import SshServer
from tests.artifacts.places.suite import LARGE, MIB, SMALL, PlaceSuite, content, names

QUICK = Patience(attempts=3, wait_first=0.1, wait_longest=0.2, jitter=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with SshServer(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither keys nor known hosts of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


@pytest.fixture
def place(server: SshServer, tmp_path: Path) -> Iterator[Place]:
    place = open_place(server.url(tmp_path / "exports"), patience=QUICK)
    yield place
    place.close()


class TestSftp(PlaceSuite):
    """As every place."""


def test_a_host_that_is_not_known_is_refused_with_what_to_type(
    server: SshServer, tmp_path: Path, home: Path
) -> None:
    url = server.url(tmp_path / "exports", fingerprint="")
    with pytest.raises(StoreDenied, match="is not known") as caught:
        open_place(url).put("a", io.BytesIO(SMALL))
    assert server.fingerprint in caught.value.message
    assert f"?fingerprint={server.fingerprint}" in caught.value.hint
    command = caught.value.hint.partition("type: ")[2].partition(", or")[0]
    assert command == f"ssh-keyscan -p {server.port} 127.0.0.1 >> ~/.ssh/known_hosts"
    if shutil.which("ssh-keyscan"):
        (home / ".ssh").mkdir()
        subprocess.run(["sh", "-c", command], check=True, stderr=subprocess.DEVNULL)
        place = open_place(url)
        place.put("a", io.BytesIO(SMALL))
        place.close()


def test_another_key_than_the_one_known_is_refused(
    server: SshServer, tmp_path: Path, home: Path
) -> None:
    (home / ".ssh").mkdir()
    other = (server.folder / "stranger.pub").read_text()
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{server.port} {other}")
    with pytest.raises(StoreDenied, match="another one than before") as caught:
        open_place(server.url(tmp_path / "exports", fingerprint="")).stat("a")
    assert f"ssh-keygen -R [127.0.0.1]:{server.port}" in caught.value.hint
    wrong = "SHA256:" + "A" * 43
    with pytest.raises(StoreDenied, match="not the one in the URL"):
        open_place(server.url(tmp_path / "exports", fingerprint=wrong)).stat("a")


def test_who_may_not_log_in_is_told_how(server: SshServer, tmp_path: Path) -> None:
    for key in (str(server.folder / "stranger"), ""):
        with pytest.raises(StoreDenied, match="cannot log in") as caught:
            open_place(server.url(tmp_path, key=key)).stat("a")
        assert "password-from" in caught.value.hint
    with pytest.raises(InvalidInput, match="no key file"):
        open_place(server.url(tmp_path, key="/nowhere/id")).stat("a")


def test_a_key_with_a_passphrase_takes_it_by_reference(
    server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "locked"
    shutil.copy(server.key, key)
    key.chmod(0o600)
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "hunter2", "-f", str(key)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with pytest.raises(StoreDenied, match="passphrase"):
        open_place(server.url(tmp_path, key=str(key))).stat("a")
    monkeypatch.setenv("SSH_PASSPHRASE", "hunter2")
    options = {"key": str(key), "password-from": "env:SSH_PASSPHRASE"}
    place = open_place(server.url(tmp_path / "exports", **options))
    place.put("a", io.BytesIO(SMALL))
    place.close()


def test_a_port_where_nobody_listens_is_unavailable(server: SshServer) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_place("sftp://bob@127.0.0.1:9/x", patience=QUICK).stat("a")
    assert caught.value.hint


def test_a_file_goes_on_where_it_stopped(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(LARGE)
    token = CancelToken()
    sent = 0

    def stop(count: int) -> None:
        nonlocal sent
        sent += count
        if sent > 8 * MIB:
            token.cancel()

    with pytest.raises(Interrupted):
        place.put("a", path, progress=stop, cancel=token)
    (partial,) = (tmp_path / "exports").iterdir()
    assert partial.name.startswith(".a.")
    assert partial.name.endswith(".partial")
    begun = partial.stat()
    assert begun.st_size >= 8 * MIB
    with partial.open("r+b") as file:  # would be written anew if the file were begun anew
        file.write(b"marked")
    place.put("a", path)
    assert content(place, "a") == b"marked" + LARGE[6:]
    assert list((tmp_path / "exports").iterdir()) == [tmp_path / "exports/a"]


def test_another_content_does_not_go_on(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(LARGE)
    token = CancelToken()
    with pytest.raises(Interrupted):
        place.put("a", path, progress=lambda _: token.cancel(), cancel=token)
    (partial,) = (tmp_path / "exports").iterdir()
    partial.write_bytes(b"x" * MIB)
    place.put("a", path)
    assert content(place, "a") == LARGE


def test_a_connection_that_breaks_is_made_anew(
    server: SshServer, place: Place, tmp_path: Path
) -> None:
    path = tmp_path / "source"
    path.write_bytes(LARGE)
    sent: list[int] = []
    cut = False

    def progress(count: int) -> None:
        nonlocal cut
        sent.append(count)
        if sum(sent) > 5 * MIB and not cut:
            cut = True
            server.cut()

    put = place.put("a", path, progress=progress)
    assert cut
    assert put.size == sum(sent) == len(LARGE)
    assert content(place, "a") == LARGE


def test_a_stream_that_breaks_leaves_nothing_under_its_name(
    server: SshServer, place: Place
) -> None:
    class Cutting:
        left = 20

        def read(self, count: int) -> bytes:
            self.left -= 1
            if self.left == 10:
                server.cut()
            return bytes(MIB) if self.left else b""

    with pytest.raises(StoreUnavailable, match="connection was lost"):
        place.put("a", Cutting())
    assert names(place) == set()


def test_what_the_user_may_not_write_is_denied(place: Place, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports/web").write_bytes(b"a file, no folder")
    with pytest.raises(StoreError, match="no folder"):
        place.put("web/a", io.BytesIO(SMALL))


def test_the_pace_is_asked(place: Place, tmp_path: Path) -> None:
    paced: list[int] = []
    place.put("a", io.BytesIO(LARGE), pace=paced.append, progress=ignore)
    assert sum(paced) == len(LARGE)


def test_home_is_the_users(server: SshServer, home: Path) -> None:
    url = server.url(Path("/~/"))
    place = open_place(url)
    try:
        with pytest.raises(Exception, match="is not there"):
            place.stat(f"hypersdk-test-{os.getpid()}")
    finally:
        place.close()
