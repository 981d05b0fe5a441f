from __future__ import annotations

import logging
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.vsphere import trust
from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.model.errors import HypervisorError, HypervisorUnreachable, InvalidInput
from tests.vsphere.lab import VsphereLab

WRONG = ":".join(["00"] * 32)


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsphereLab]:
    """Its certificate ended."""
    with VsphereLab.start(tmp_path_factory.mktemp("expired"), expired=True) as lab:
        yield lab


def _plain(lab: VsphereLab) -> str:
    return lab.url.partition("?")[0]


def test_an_unknown_certificate_is_refused_and_shown(
    vsphere_lab: VsphereLab, known_hosts: Path
) -> None:
    with pytest.raises(HypervisorError) as raised:
        Connection(address(_plain(vsphere_lab)))
    shown = vsphere_lab.fingerprint
    assert shown in raised.value.message
    assert not raised.value.retryable
    # The hint has the very URL that works.
    url = raised.value.hint.split('"')[1]
    Connection(address(url)).close()
    assert not known_hosts.exists()


def test_a_wrong_fingerprint_is_refused_before_the_password_is_sent(
    vsphere_lab: VsphereLab,
) -> None:
    before = vsphere_lab.state()["calls"].get("Login", 0)
    with pytest.raises(HypervisorError, match="another certificate") as raised:
        Connection(address(f"{_plain(vsphere_lab)}?fingerprint={WRONG}"))
    assert vsphere_lab.fingerprint in raised.value.message
    assert vsphere_lab.state()["calls"].get("Login", 0) == before


def test_every_connection_is_checked(vsphere_lab: VsphereLab, connection: Connection) -> None:
    wrong = trust.Trust("0" * 64)
    for _ in range(2):
        with pytest.raises(trust.WrongCertificate):
            wrong.connection(connection.address.host, connection.address.port).connect()


def test_first_use_is_shown_and_remembered(
    vsphere_lab: VsphereLab,
    known_hosts: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("GOVC_INSECURE", "1")
    with caplog.at_level(logging.WARNING):
        Connection(address(_plain(vsphere_lab))).close()
    assert vsphere_lab.fingerprint in caplog.text
    assert stat.S_IMODE(known_hosts.stat().st_mode) == 0o600
    assert known_hosts.read_text() == f"{vsphere_lab.address} {vsphere_lab.fingerprint}\n"
    # From now on it is known, without the variable too.
    monkeypatch.delenv("GOVC_INSECURE")
    Connection(address(_plain(vsphere_lab))).close()
    assert len(known_hosts.read_text().splitlines()) == 1


def test_a_remembered_certificate_that_changed_is_refused(
    vsphere_lab: VsphereLab, known_hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _, port = vsphere_lab.address.partition(":")
    trust.remember(host, int(port), WRONG)
    monkeypatch.setenv("GOVC_INSECURE", "1")
    with pytest.raises(HypervisorError, match="another certificate") as raised:
        Connection(address(_plain(vsphere_lab)))
    assert str(known_hosts) in raised.value.hint


def test_a_damaged_line_is_an_error(known_hosts: Path) -> None:
    known_hosts.parent.mkdir(parents=True)
    known_hosts.write_text("vc.example:443 rubbish\n")
    with pytest.raises(InvalidInput, match="rubbish"):
        trust.remembered("vc.example", 443)
    assert trust.remembered("other.example", 443) == ""


def test_an_expired_certificate_is_called_so(expired: VsphereLab, known_hosts: Path) -> None:
    with pytest.raises(HypervisorError, match="expired") as raised:
        Connection(address(_plain(expired)))
    assert expired.fingerprint in raised.value.message


def test_a_host_that_vcenter_names_is_pinned_by_its_thumbprint(
    vsphere_lab: VsphereLab, connection: Connection, known_hosts: Path
) -> None:
    host, port = connection.address.host, connection.address.port
    pinned = trust.settle_other(host, port, vsphere_lab.fingerprint).connection(host, port)
    pinned.connect()
    pinned.close()
    with pytest.raises(HypervisorError, match="not trusted") as raised:
        trust.settle_other(host, port, "")
    assert str(known_hosts) in raised.value.hint


def test_silence_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = trust.Trust().connection("127.0.0.1", silent.getsockname()[1], 0.3)
        with pytest.raises(TimeoutError):
            made.connect()


def test_what_speaks_no_tls(known_hosts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVC_PASSWORD", "x")
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            with plain.accept()[0] as client:
                client.recv(1)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(HypervisorUnreachable, match="log in to"):
            Connection(address(f"vsphere://me@127.0.0.1:{plain.getsockname()[1]}/"))
        thread.join()
