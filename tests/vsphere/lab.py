"""A vSphere lab as tests use it: started, filled with machines, broken on demand, looked into."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

from tests.vsphere.build import lab_program

#: Seconds. An inventory of thousands takes its time.
_LONGEST_START = 600
_LONGEST_CALL = 120
PASSWORD = "lab"


class VsphereLab:
    """One running lab. Its URL pins the lab's certificate; the password is in GOVC_PASSWORD."""

    def __init__(self, process: subprocess.Popen[str], ready: Mapping[str, str]) -> None:
        self._process = process
        self.control = ready["control"]
        self.fingerprint = ready["fingerprint"]
        self.user = ready["user"]
        self.datacenter = ready["datacenter"]
        self.sdk = ready["url"]

    @classmethod
    def start(cls, folder: Path, **flags: object) -> Self:
        """Start a lab that keeps its disks in ``folder``.

        ``flags`` are those of the program with underscores: ``esx=True``, ``hosts=3``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        command = [str(lab_program()), "-folder", str(folder)]
        for name, value in flags.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command.append(f"-{name.replace('_', '-')}={text}")
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            _, said = process.communicate(timeout=_LONGEST_CALL)
            raise RuntimeError(f"the vSphere lab did not start: {said}")
        return cls(process, json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the lab; its disks go with it."""
        try:
            # It ends when its standard input is closed, which communicate() does.
            self._process.communicate(timeout=_LONGEST_CALL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    @property
    def address(self) -> str:
        """Host and port."""
        return urllib.parse.urlsplit(self.sdk).netloc

    @property
    def url(self) -> str:
        """The URL of the driver."""
        query = urllib.parse.urlencode({"fingerprint": self.fingerprint}, safe=":")
        return f"vsphere://{self.user}@{self.address}/{self.datacenter}?{query}"

    def add_vm(self, **fields: object) -> dict[str, Any]:
        """Make a machine; the fields are those of ``POST /vms`` (docs/vsphere-lab.md)."""
        return cast("dict[str, Any]", self._call("POST", "/vms", _plain(fields)))

    def remove_vm(self, name: str) -> None:
        """Power a machine off and destroy it."""
        self._call("DELETE", f"/vms/{_quoted(name)}")

    def write(self, vm: str, disk: int, writes: Sequence[Mapping[str, object]]) -> None:
        """Write as the guest does; each write is offset with length and seed, data, or zero."""
        self._call("POST", f"/vms/{_quoted(vm)}/writes", {"disk": disk, "writes": list(writes)})

    def content(self, vm: str, disk: int, snapshot: str | None = None) -> bytes:
        """All bytes of a disk, as they are now or were in a snapshot."""
        query = "" if snapshot is None else f"?snapshot={_quoted(snapshot)}"
        with self._open("GET", f"/vms/{_quoted(vm)}/disks/{disk}{query}") as response:
            return cast("bytes", response.read())

    def fault(self, kind: str, **fields: object) -> int:
        """Let something go wrong, once unless ``times`` says otherwise; gives its number."""
        made = self._call("POST", "/faults", {"kind": kind, **_plain(fields)})
        return cast("int", made["id"])

    def clear_faults(self) -> None:
        """Take back all faults that are still to come."""
        self._call("DELETE", "/faults")

    @contextlib.contextmanager
    def faulty(self, kind: str, **fields: object) -> Iterator[None]:
        """Within the block something goes wrong."""
        self.fault(kind, **fields)
        try:
            yield
        finally:
            self.clear_faults()

    def state(self) -> dict[str, Any]:
        """Sessions, live leases, snapshots, uploads, streams and calls so far."""
        return cast("dict[str, Any]", self._call("GET", "/state"))

    def throttle(self, bytes_per_second: int) -> None:
        """Hold every stream back to this rate; 0 takes the limit away."""
        self._call("PUT", "/throttle", {"bytes_per_second": bytes_per_second})

    def move(self, vm: str, host: str = "") -> str:
        """Move a machine to a host (or any other one), as vMotion does; gives the host's name."""
        moved = self._call("POST", f"/vms/{_quoted(vm)}/move", {"host": host})
        return cast("str", moved["host"])

    def reset_cbt(self, vm: str) -> None:
        """Make all change bookmarks of a machine void."""
        self._call("POST", f"/vms/{_quoted(vm)}/cbt-reset", {})

    def _call(self, method: str, path: str, body: object = None) -> Any:
        with self._open(method, path, body) as response:
            return json.load(response)

    def _open(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control + path, data=data, method=method)
        try:
            return urllib.request.urlopen(request, timeout=_LONGEST_CALL)
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{method} {path}: {error.read().decode()}") from error


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _plain(fields: Mapping[str, object]) -> dict[str, object]:
    """Paths as text, at any depth: what JSON can carry."""
    return cast("dict[str, object]", json.loads(json.dumps(fields, default=str)))
