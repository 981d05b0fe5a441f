"""The daemon as a process: begins, serves, reloads, is killed, ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hypersdk.cli.hypervisord.main import run as command
from hypersdk.cli.terminal import Terminal
from tests.app.daemons import COMMAND, PATIENCE, Daemon, daemon, environment, program, until
from tests.cli.conftest import Stream


def test_it_serves_runs_a_worker_and_ends_cleanly(tmp_path: Path) -> None:
    with daemon(tmp_path) as running:
        assert running.get("/v1/status")["user"] == "local"
        pid = running.worker()
        (worker,) = running.get("/v1/workers")["items"]
        assert (worker["pid"], worker["state"]) == (pid, "running")
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
        assert running.said("worker ended")
        assert not alive(pid)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o711
    assert stat.S_IMODE((tmp_path / "state/hypervisord.db").stat().st_mode) == 0o600
    assert not (tmp_path / "state/hypervisord.db.daemon.json").exists()


def test_the_api_does_not_load_the_engine_of_jobs() -> None:
    code = (
        "import sys, hypersdk.app.server;"
        "print([m for m in ('dbos', 'libvirt', 'docker', 'grpc', 'pyVmomi', 'textual', 'httpx')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout.strip() == "[]"


def test_a_port_that_is_taken_is_an_error_that_names_who_has_it(run: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        done = run("--listen", place)
    assert done.status == 1
    assert f"the port {place} is taken by " in done.err
    assert f"(process {os.getpid()})" in done.err
    assert "choose another port" in done.err


def test_a_second_daemon_on_one_database_is_an_error(tmp_path: Path, run: Command) -> None:
    with daemon(tmp_path, "--no-worker") as running:
        done = run("--listen", "127.0.0.1:0")
        assert done.status == 1
        assert "another hypervisord uses the database" in done.err
        assert f"process {running.process.pid}, on 127.0.0.1:0" in done.err
        assert running.get("/v1/status")
        # A killed one leaves nothing that is in the way.
        running.process.kill()
        running.ended()
    with daemon(tmp_path, "--no-worker") as again:
        assert again.get("/v1/status")


def test_a_killed_worker_is_begun_again_and_that_is_told(tmp_path: Path) -> None:
    with daemon(tmp_path) as running:
        first = running.worker()
        os.kill(first, signal.SIGKILL)
        second = running.worker(2)
        assert second != first
        (died,) = running.said("the worker died and is begun again")
        assert died["status"] == "SIGKILL"
        with sqlite3.connect(tmp_path / "state/hypervisord.db") as connection:
            told = connection.execute(
                "SELECT data FROM events WHERE name = 'worker.died'"
            ).fetchall()
        assert json.loads(told[0][0])["status"] == "SIGKILL"


def test_the_worker_of_a_killed_daemon_ends_and_the_next_daemon_works(tmp_path: Path) -> None:
    with daemon(tmp_path) as running:
        pid = running.worker()
        running.process.kill()
        running.process.wait(PATIENCE)
        until(lambda: not alive(pid), "the worker's end")
    with daemon(tmp_path) as again:
        assert again.worker() != pid


def test_settings_are_read_again_on_sighup(tmp_path: Path) -> None:
    with daemon(tmp_path, settings="hypervisors: {a: 'mock:///a'}\n") as running:
        assert names(running) == ["a"]
        running.worker()
        file = tmp_path / "hypervisord.yaml"
        file.write_text("hypervisors: {b: 'mock:///b'}\ndrain_seconds: 7\nsocket_group: x\n")
        running.signal(signal.SIGHUP)
        done = running.wait_for("read the settings again", 2)  # the API, and its worker
        assert names(running) == ["b"]
        told = {tuple(line.get("changed", ())) for line in running.said(done["event"])}
        assert ("drain_seconds", "hypervisors.a", "hypervisors.b") in told
        (waits,) = running.said("settings wait for a restart")
        assert waits["settings"] == ["socket_group"]
        file.write_text("hypervisors: {c: 'mock:///c'}\nlistn: x\n")
        running.signal(signal.SIGHUP)
        refused = running.wait_for("the settings stay as they are")
        assert "listn: there is no such setting" in refused["error"]
        assert names(running) == ["b"]


def test_hypervisors_of_the_settings_are_read_only_over_the_api(tmp_path: Path) -> None:
    with daemon(tmp_path, "--no-worker", settings="hypervisors: {a: 'mock:///a'}\n") as running:
        refused = running.request("DELETE", "/v1/hypervisors/a")
        assert refused.status == 409
        assert "settings file" in refused.json["detail"]
        assert names(running) == ["a"]


def test_a_unix_socket_is_for_its_group_only(tmp_path: Path) -> None:
    path = tmp_path / "run/daemon.sock"
    with daemon(tmp_path, "--no-worker", "--listen", "", "--socket", str(path)) as running:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert running.get("/v1/status", scheme="unix")["user"] == "local"
        running.process.kill()
        running.ended()
    assert path.exists()  # left by the killed one
    with daemon(tmp_path, "--no-worker", "--listen", "", "--socket", str(path)) as again:
        assert again.get("/v1/status", scheme="unix")
        again.signal(signal.SIGTERM)
        assert again.ended() == 0
    assert not path.exists()


def make_certificate(folder: Path) -> Path:
    """Self-made, for 127.0.0.1; its key is beside it."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"),
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "certificate.pem"


def test_tls_and_accounts_are_needed_where_others_can_ask(tmp_path: Path, run: Command) -> None:
    certificate = make_certificate(tmp_path)
    words = ("--config", str(tmp_path / "none.yaml"), "--listen", "0.0.0.0:0")
    (tmp_path / "none.yaml").write_text("")
    done = run(*words)
    assert done.status == 2
    assert "can be reached by others, and has no TLS" in done.err
    assert "openssl req -x509" in done.err
    tls = f"tls: {{certificate: {certificate}, key: {tmp_path / 'key.pem'}}}\n"
    (tmp_path / "none.yaml").write_text(tls)
    done = run(*words)
    assert done.status == 2
    assert "there are no accounts" in done.err
    assert "hypervisord users add NAME --role admin" in done.err

    run("users", "add", "ada", "--role", "admin", "--password-from", "env:P",
        P="correct horse battery")  # fmt: skip
    token = run("tokens", "create", "ada").out.strip()
    with daemon(tmp_path, "--no-worker", "--listen", "0.0.0.0:0", settings=tls) as running:
        port = running.place("https").rpartition(":")[2]
        running.wait_for("hypervisord serves")["at"] = [f"https://127.0.0.1:{port}"]
        more = {"scheme": "https", "trust": certificate}
        assert running.request("GET", "/v1/status", **more).status == 401  # type: ignore[arg-type]
        assert running.get("/v1/status", token=token, **more)["user"] == "ada"


def test_a_renewed_certificate_is_used_after_a_reload(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    tls = f"tls: {{certificate: {certificate}, key: {tmp_path / 'key.pem'}}}\n"
    with daemon(tmp_path, "--no-worker", settings=tls) as running:
        old = certificate.read_bytes()
        assert running.get("/v1/status", scheme="https", trust=certificate)
        make_certificate(tmp_path)
        assert certificate.read_bytes() != old
        running.signal(signal.SIGHUP)
        running.wait_for("read the settings again")
        assert running.get("/v1/status", scheme="https", trust=certificate)


def test_a_head_that_trickles_in_is_ended(tmp_path: Path) -> None:
    settings = "limits: {header_seconds: 0.5}\n"
    with daemon(tmp_path, "--no-worker", settings=settings) as running:
        host, port = running.place().removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n")
            began = time.monotonic()
            while connection.recv(4096):
                pass
            assert time.monotonic() - began < PATIENCE / 2
        assert running.get("/v1/status")


def test_bodies_have_the_bound_that_is_set(tmp_path: Path) -> None:
    with daemon(tmp_path, "--no-worker", settings="limits: {body: 1KiB}\n") as running:
        refused = running.request("POST", "/v1/jobs", {"jobs": ["x" * 2000]})
        assert refused.status == 413


def test_systemd_is_told(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(PATIENCE)
        variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "500000"}
        with daemon(tmp_path, "--no-worker", **variables) as running:
            told = heard(systemd, "READY=1")
            assert any(line.startswith("STATUS=serving http://127.0.0.1:") for line in told)
            heard(systemd, "WATCHDOG=1")
            running.signal(signal.SIGHUP)
            heard(systemd, "RELOADING=1")
            heard(systemd, "READY=1")
            running.signal(signal.SIGTERM)
            heard(systemd, "STOPPING=1")
            assert running.ended() == 0


def heard(systemd: socket.socket, word: str) -> list[str]:
    """The message with this word."""
    while True:
        lines = systemd.recv(4096).decode().splitlines()
        if word in lines:
            return lines


def test_the_log_is_json_without_secrets_when_it_is_no_terminal(tmp_path: Path) -> None:
    with daemon(tmp_path, "--no-worker") as running:
        running.request("POST", "/api/login", {"username": "a", "password": "geheim-geheim"})
        running.request("GET", "/v1/status?token=geheim-geheim")
        running.signal(signal.SIGTERM)
        running.ended()
        assert running.raw
        assert len(running.lines) == len(running.raw)
        assert "geheim" not in running.err


def test_a_database_that_cannot_be_opened_is_an_error(tmp_path: Path, run: Command) -> None:
    (tmp_path / "file").write_text("")
    done = run("--database", f"sqlite:///{tmp_path}/file/d.db")
    assert done.status == 1
    assert "cannot be opened" in done.err


def test_a_worker_alone_works_for_the_daemon_of_its_database(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/state/hypervisord.db"
    with (
        daemon(tmp_path, "--no-worker") as running,
        program(
            tmp_path, "worker", "--database", database, "--queues", "a,b", "--slots", "3",
            "--id", "site-a", "--state-dir", str(tmp_path / "state"),
        ) as worker,
    ):  # fmt: skip
        worker.wait_for("worker runs")
        (found,) = running.get("/v1/workers")["items"]
        assert (found["id"], found["queues"], found["slots"]) == ("site-a", ["a", "b"], 3)
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0


@dataclass(frozen=True)
class Ended:
    """A command that ended by itself."""

    status: int
    out: str
    err: str


#: Runs ``hypervisord ARGUMENTS`` in this process, which begins no daemon.
Command = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in set(os.environ) - set(environment(tmp_path)):
        monkeypatch.delenv(name)
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)

    def run(*words: str, **variables: str) -> Ended:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal(Stream(), out := Stream(), err := Stream(), dict(os.environ))
        status = command(["--state-dir", str(tmp_path / "state"), *words], terminal)
        return Ended(status, out.getvalue(), err.getvalue())

    return run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def names(running: Daemon) -> list[str]:
    return [each["name"] for each in running.get("/v1/hypervisors")["items"]]
