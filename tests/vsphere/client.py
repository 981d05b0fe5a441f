"""pyVmomi against a lab, without the driver: what the lab's own tests speak."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyVmomi
from pyVim import connect, task

from tests.vsphere.lab import PASSWORD, VsphereLab

#: The library has no types for its calls.
vim: Any = pyVmomi.vim
vmodl: Any = pyVmomi.vmodl
finish: Any = task.WaitForTask
_connect: Any = connect.SmartConnect
_disconnect: Any = connect.Disconnect

#: Seconds to wait for what takes milliseconds on an idle machine.
_LONGEST_WAIT = 60


class Client:
    """One session."""

    def __init__(self, lab: VsphereLab) -> None:
        host, _, port = lab.address.rpartition(":")
        # The lab's certificate is its own; the driver's tests are those that pin it.
        self.context = ssl._create_unverified_context()
        self.instance = _connect(
            host=host, port=int(port), user=lab.user, pwd=PASSWORD, sslContext=self.context
        )
        self.content = self.instance.content
        self.lab = lab

    def close(self) -> None:
        _disconnect(self.instance)

    def vm(self, path: str) -> Any:
        """A machine by its path below the datacenter's folder."""
        found = self.content.searchIndex.FindByInventoryPath(f"{self.lab.datacenter}/vm/{path}")
        assert found is not None, path
        return found

    def snapshot(self, vm: Any, name: str) -> Any:
        finish(vm.CreateSnapshot_Task(name, "", False, False))
        return vm.snapshot.currentSnapshot

    def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request with this session's cookie; '*' is the host we are connected to."""
        parts = urllib.parse.urlsplit(url.replace("//*", f"//{self.lab.address}"))
        connection = http.client.HTTPSConnection(
            parts.netloc, context=self.context, timeout=_LONGEST_WAIT
        )
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        cookie = self.instance._stub.cookie.split(";")[0]
        try:
            connection.request(method, path, body, {"Cookie": cookie, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@contextmanager
def client(lab: VsphereLab) -> Iterator[Client]:
    """A session that is logged out at the end."""
    session = Client(lab)
    try:
        yield session
    finally:
        session.close()


def wait_until(true: Callable[[], object]) -> None:
    """Until the lab has come to a state; fails after a generous time."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while not true():
        assert time.monotonic() < deadline, "the lab did not come to that state"
        time.sleep(0.02)


def ready(lease: Any) -> Any:
    """A lease when it is no longer initializing."""
    wait_until(lambda: lease.state != vim.HttpNfcLease.State.initializing)
    return lease


def disks(owner: Any) -> list[Any]:
    """The virtual disks of a machine, or of a snapshot."""
    return [
        device
        for device in owner.config.hardware.device
        if isinstance(device, vim.vm.device.VirtualDisk)
    ]
