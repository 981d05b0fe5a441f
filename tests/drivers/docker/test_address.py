from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.docker.address import address
from hypersdk.model.errors import InvalidInput, MissingRequirement


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_socket() -> None:
    found = address("docker:///run/with%20space/docker.sock")
    assert found.socket == "/run/with space/docker.sock"
    assert found.base_url == "unix:///run/with space/docker.sock"
    assert found.url == "docker:///run/with%20space/docker.sock"


def test_a_host_is_reached_with_tls(certificates: Path) -> None:
    found = address(f"docker://engine.example?certs={certificates}")
    assert found.base_url == "https://engine.example:2376"
    assert found.certificate("ca.pem") == str(certificates / "ca.pem")
    assert address(f"docker://[::1]:99?certs={certificates}").base_url == "https://[::1]:99"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_without_tls_on_this_host(host: str) -> None:
    assert address(f"docker://{host}:2375?tls=no").base_url == f"http://{host}:2375"


def test_without_tls_to_another_host() -> None:
    with pytest.raises(InvalidInput, match="without TLS") as raised:
        address("docker://192.0.2.7:2375?tls=no")
    assert "root" in raised.value.hint


def test_certificates_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    with pytest.raises(MissingRequirement, match=r"cert\.pem, key\.pem"):
        address(f"docker://engine.example:2376?certs={tmp_path}")


@pytest.mark.parametrize(
    "url",
    [
        "docker://",
        "docker:///",
        "docker://host:2376/path",
        "docker://user@host:2376",
        "docker://host:no",
        "docker:///run/docker.sock?tls=no",
        "docker://host?certificates=/x",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        address(url)


def test_ssh_is_refused_with_the_way_to_do_it() -> None:
    with pytest.raises(InvalidInput, match="docker\\+ssh") as raised:
        address("docker+ssh://root@host")
    assert "ssh -L" in raised.value.hint
