from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from hypersdk.app.listening import bind_tcp, bind_unix, port_owner
from hypersdk.config.daemon import DaemonSettings, load_daemon_settings
from hypersdk.model.errors import Conflict, InvalidInput


def settings(listen: str) -> DaemonSettings:
    return load_daemon_settings(listen=listen)


def test_a_free_port_is_chosen() -> None:
    (bound,) = bind_tcp(settings("127.0.0.1:0"))
    with bound:
        host, port = bound.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with socket.create_connection((host, port), 10):
            pass


def test_every_address_of_a_host_has_the_same_port() -> None:
    bound = bind_tcp(settings(":0"))
    ports = {each.getsockname()[1] for each in bound}
    for each in bound:
        each.close()
    assert len(ports) == 1


def test_a_taken_port_names_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Conflict) as refused:
            bind_tcp(settings(f"127.0.0.1:{port}"))
        assert f"is taken by {Path('/proc/self/comm').read_text().strip()}" in str(refused.value)
        assert str(os.getpid()) in port_owner(port)
    assert port_owner(port) == ""


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"cannot listen on 192\.0\.2\.1"):
        bind_tcp(settings("192.0.2.1:0"))
    with pytest.raises(InvalidInput, match="is not known"):
        bind_tcp(settings("nowhere.invalid:0"))


def test_a_unix_socket_replaces_what_a_killed_daemon_left(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    first = bind_unix(path, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(Conflict, match="another process listens"):
        bind_unix(path, "")
    first.close()
    bind_unix(path, "").close()


def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(InvalidInput, match="no socket"):
        bind_unix(path, "")
    assert path.read_text() == "precious"


def test_a_group_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no group 'nobody-has-this'"):
        bind_unix(tmp_path / "s", "nobody-has-this")
