from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest

from hypersdk.drivers.libvirt import connection as subject
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor, connect
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.errors import (
    GuestAgentMissing,
    HypervisorDenied,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidState,
    NotFound,
)
from tests.components import require_root
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab

_NOBODY = 65534


def reads_of(url: str) -> tuple[Hypervisor, dict[str, Callable[[], object]]]:
    """One call of each part, none of which changes anything."""
    hypervisor: Any = connect(url)

    def left(context: Callable[[], AbstractContextManager[object]]) -> None:
        with context():
            pass

    return hypervisor, {
        "host": hypervisor.host.info,
        "inventory": lambda: list(hypervisor.inventory.instances()),
        "one of it": lambda: hypervisor.inventory.instance("web"),
        "events": lambda: left(hypervisor.events.follow),
        "lifecycle": lambda: hypervisor.lifecycle.stop("web", force=True),
        "clones": lambda: hypervisor.clones.unmake_template("web"),
        "snapshots": lambda: hypervisor.snapshots.snapshots("web"),
        "disks": lambda: left(lambda: hypervisor.disks.view("web", {})),
        "checkpoints": lambda: hypervisor.checkpoints.checkpoints("web"),
        "metrics": hypervisor.metrics.metrics,
        "console": lambda: hypervisor.console.display("web"),
        "guest_agent": lambda: hypervisor.guest_agent.ping("web"),
        "hotplug": lambda: hypervisor.hotplug.eject_media("web", "sdz"),
        "storage": hypervisor.storage.pools,
        "networks": hypervisor.networks.networks,
    }


def test_every_part_notices_a_loss_and_comes_back(lab: Lab) -> None:
    lab.connection.defineXML(domain_xml("web", [DiskSpec(lab.image("a.qcow2", "1M"))]))
    hypervisor, reads = reads_of(lab.url)
    lab.libvirtd.kill()
    try:
        for part, read in reads.items():
            begun = time.monotonic()
            with pytest.raises(HypervisorUnreachable) as caught:
                read()
            assert caught.value.retryable, part
            assert "virsh" in caught.value.hint or "libvirtd" in caught.value.hint, part
            assert time.monotonic() - begun < 5, part
    finally:
        lab.libvirtd.restart()
    for read in reads.values():
        # It is stopped, has no agent and no drive; all others answer.
        with suppress(InvalidState, GuestAgentMissing, NotFound):
            read()
    hypervisor.close()


@contextmanager
def standing_still(lab: Lab) -> Iterator[None]:
    (pid,) = (
        pid for pid, words in lab.libvirtd.processes().items() if words.startswith("libvirtd")
    )
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_daemon_that_stands_still_is_noticed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """With shorter times than ours, which promise 25 s."""
    seconds, count = subject.KEEPALIVE_SECONDS, subject.KEEPALIVE_COUNT
    assert seconds * (count + 1) <= 25
    monkeypatch.setattr(subject, "KEEPALIVE_SECONDS", 1)
    monkeypatch.setattr(subject, "KEEPALIVE_COUNT", 1)
    monkeypatch.setattr(subject, "CONNECT_SECONDS", 1.0)
    hypervisor = LibvirtHypervisor(lab.libvirtd.uri)
    with standing_still(lab):
        begun = time.monotonic()
        with pytest.raises(HypervisorUnreachable):
            hypervisor.inventory.instance("web")
        assert time.monotonic() - begun < 10
        begun = time.monotonic()
        waiting = [threading.Thread(target=_asked, args=(hypervisor,)) for _ in range(8)]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()
        assert time.monotonic() - begun < 10  # not one after another
    deadline = time.monotonic() + 20
    while True:  # it answers the attempts that were given up before it answers ours
        try:
            assert list(hypervisor.inventory.instances()) == []
        except HypervisorUnreachable:
            assert time.monotonic() < deadline
        else:
            break
    hypervisor.close()


def _asked(hypervisor: LibvirtHypervisor) -> None:
    with pytest.raises(HypervisorUnreachable, match=r"does not answer|cannot"):
        hypervisor.inventory.instance("web")


def test_whoever_may_not_connect_is_denied(lab: Lab) -> None:
    require_root()
    path = lab.libvirtd.folder / "run/libvirt-sock"
    mode = path.stat().st_mode
    path.chmod(0o600)
    os.seteuid(_NOBODY)
    try:
        with pytest.raises(HypervisorDenied, match="Permission denied") as caught:
            Connection(lab.libvirtd.uri)
    finally:
        os.seteuid(0)
        path.chmod(mode)
    assert "libvirt.org/auth.html" in caught.value.hint
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+unix:///system?socket=/no/such/socket",
        "qemu+tcp://127.0.0.1:1/system",
        "nonsense",
        "test:///no/such/file",
    ],
)
def test_nobody_there(uri: str) -> None:
    with pytest.raises(HypervisorUnreachable, match="cannot connect") as caught:
        Connection(uri)
    assert f"virsh -c {uri}" in caught.value.hint


def test_a_name_with_a_nul_is_no_name() -> None:
    connection = Connection("test:///default")
    with pytest.raises(InstanceNotFound):
        connection.domain("test\0x")
    connection.close()
    with pytest.raises(HypervisorUnreachable, match="was closed"):
        connection.domain("test")
