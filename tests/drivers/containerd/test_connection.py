from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.containerd.connection import probe
from hypersdk.drivers.containerd.driver import connect
from hypersdk.model.errors import (
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
)
from hypersdk.model.instances import InstanceState
from tests.drivers.containerd.lab import Lab


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(HypervisorUnreachable, match="No such file") as caught:
        connect(f"containerd://{tmp_path}/none.sock")
    assert "containerd config dump" in caught.value.hint


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/s")
    with pytest.raises(HypervisorUnreachable, match="Connection refused"):
        connect(f"containerd://{tmp_path}/s")


def test_a_file_and_a_long_path_are_no_sockets(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (f"{tmp_path}/file", f"{tmp_path}/{'x' * 120}"):
        with pytest.raises(HypervisorUnreachable, match="nothing answers"):
            connect(f"containerd://{path}")


def test_a_socket_for_others_only(tmp_path: Path) -> None:
    """As another user: root may everything."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    path = f"/tmp/hypersdk-{os.getpid()}.sock"
    program = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
        "with socket.socket(socket.AF_UNIX) as one:\n"
        "    try: one.connect(sys.argv[1])\n"
        "    except PermissionError: sys.exit(7)\n"
    )
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        try:
            os.chmod(path, 0o600)
            server.listen()
            # What the kernel says to such a user; then what we make of it, in a forked child.
            done = subprocess.run([sys.executable, "-c", program, path], check=False)
            assert done.returncode == 7
            assert _as_nobody(path) == "HypervisorDenied"
        finally:
            os.unlink(path)


def _as_nobody(path: str) -> str:
    """Class of the error of `probe` for a user without rights. The child does nothing else."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            probe(path)
            os.write(writing, b"nothing")
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said


def test_another_program_listens(tmp_path: Path) -> None:
    """Something that speaks HTTP/1, as Docker's socket does."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/s")
        server.listen()
        ended = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not ended.is_set():
                try:
                    with server.accept()[0] as one:
                        one.settimeout(1)
                        one.recv(1000)
                        one.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(HypervisorUnreachable) as caught:
                connect(f"containerd://{tmp_path}/s")
            assert caught.value.hint
        finally:
            ended.set()
            thread.join()


def test_containerd_dies_and_comes_back(lab: Lab) -> None:
    name = lab.running()
    before = lab.hypervisor.inventory.instance(name)
    shims = lab.daemon.shims()
    lab.daemon.kill()
    for _ in range(2):
        with pytest.raises(HypervisorUnreachable) as caught:
            lab.hypervisor.inventory.instance(name)
        assert caught.value.retryable
    with pytest.raises(HypervisorUnreachable):
        list(lab.hypervisor.inventory.instances())
    lab.daemon.start()
    assert lab.hypervisor.inventory.instance(name) == before
    assert before.state is InstanceState.RUNNING
    assert lab.daemon.shims() == shims
    assert lab.shell("echo $$ >/dev/null; echo still here") == b"still here\n"


def test_a_new_process_finds_the_same(lab: Lab) -> None:
    name = lab.running(tags={"a": "b"}, folder="x/y")
    other = connect(lab.hypervisor.url)
    assert other.inventory.instance(name) == lab.hypervisor.inventory.instance(name)
    other.close()


def test_a_hanging_containerd_can_be_left(lab: Lab) -> None:
    name = lab.created()
    token = CancelToken()
    lab.daemon.freeze()
    try:
        threading.Timer(0.3, token.cancel).start()
        began = time.monotonic()
        with pytest.raises(Interrupted), token.scope():
            lab.hypervisor.inventory.instance(name)
        assert time.monotonic() - began < 2
    finally:
        lab.daemon.thaw()
    assert lab.state(name) is InstanceState.STOPPED


def test_a_closed_connection_says_so(lab: Lab) -> None:
    other = connect(lab.daemon.url)
    other.close()
    other.close()
    with pytest.raises(HypervisorUnreachable, match="was closed"):
        other.inventory.instance("web")


def test_a_missing_instance_is_not_a_lost_connection(lab: Lab) -> None:
    with pytest.raises(InstanceNotFound):
        lab.hypervisor.inventory.instance("nobody")
