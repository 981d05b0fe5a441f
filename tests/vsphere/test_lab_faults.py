"""What the lab can let go wrong with streams, leases and hosts."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vsphere.client import Client, client, ready, vim, vmodl
from tests.vsphere.lab import VsphereLab

MIB = 1 << 20
CONTENT = os.urandom(4 * MIB)


@pytest.fixture(scope="module")
def machine(vsphere_lab: VsphereLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("disks") / "disk.raw"
    path.write_bytes(CONTENT)
    vsphere_lab.add_vm(name="broken", disks=[{"source": path}])
    yield "broken"
    vsphere_lab.clear_faults()
    vsphere_lab.remove_vm("broken")


@pytest.fixture
def session(vsphere_lab: VsphereLab) -> Iterator[Client]:
    with client(vsphere_lab) as opened:
        yield opened
    vsphere_lab.clear_faults()
    vsphere_lab.throttle(0)


@pytest.fixture
def lease(session: Client, machine: str) -> Iterator[Any]:
    opened = ready(session.vm(machine).ExportVm())
    yield opened
    if opened.state == "ready":
        opened.HttpNfcLeaseComplete()


def download(session: Client, lease: Any) -> bytes:
    (url, *_) = [one.url for one in lease.info.deviceUrl]
    return session.request("GET", url)[2]


def test_a_stream_is_cut_at_the_byte(vsphere_lab: VsphereLab, session: Client, lease: Any) -> None:
    vsphere_lab.fault("drop_stream", vm="broken", disk=0, at=MIB + 7)
    with pytest.raises(http.client.IncompleteRead) as caught:
        download(session, lease)
    assert len(caught.value.partial) == MIB + 7
    assert len(download(session, lease)) > len(CONTENT)  # once only
    assert vsphere_lab.state()["streams"]["open"] == 0


def test_a_byte_is_flipped_and_the_manifest_tells(
    vsphere_lab: VsphereLab, session: Client, lease: Any
) -> None:
    whole = download(session, lease)
    vsphere_lab.fault("corrupt_stream", at=2 * MIB)
    spoiled = download(session, lease)
    assert [at for at in range(len(whole)) if whole[at] != spoiled[at]] == [2 * MIB]
    vsphere_lab.fault("truncated_manifest")
    wrong = lease.HttpNfcLeaseGetManifest()[0].sha1
    assert wrong != lease.HttpNfcLeaseGetManifest()[0].sha1


def test_a_server_error_comes_as_often_as_asked(
    vsphere_lab: VsphereLab, session: Client, lease: Any
) -> None:
    vsphere_lab.fault("http_error", status=500, times=2)
    url = lease.info.deviceUrl[0].url
    assert [session.request("GET", url)[0] for _ in range(3)] == [500, 500, 200]


def test_a_stalled_stream_goes_on_when_its_time_is_over(
    vsphere_lab: VsphereLab, session: Client, lease: Any
) -> None:
    vsphere_lab.fault("stall_stream", at=MIB, seconds=0.5)
    began = time.monotonic()
    assert len(download(session, lease)) > len(CONTENT)
    assert time.monotonic() - began >= 0.5


def test_streams_are_held_back(vsphere_lab: VsphereLab, session: Client, lease: Any) -> None:
    vsphere_lab.throttle(8 * MIB)
    began = time.monotonic()
    download(session, lease)
    assert time.monotonic() - began >= 0.4
    vsphere_lab.throttle(0)
    vsphere_lab.fault("slow_host", at=8 * MIB)
    began = time.monotonic()
    download(session, lease)
    assert time.monotonic() - began >= 0.4


def test_a_lease_expires_in_the_middle(
    vsphere_lab: VsphereLab, session: Client, lease: Any
) -> None:
    vsphere_lab.throttle(MIB)
    vsphere_lab.fault("lease_expiry", vm="broken", seconds=0.5)
    with pytest.raises(http.client.IncompleteRead):
        download(session, lease)
    assert lease.state == "error"
    assert isinstance(lease.error, vim.fault.Timedout)


def test_a_lease_fails_to_begin(vsphere_lab: VsphereLab, session: Client, machine: str) -> None:
    vsphere_lab.fault("lease_error", vm=machine)
    failed = ready(session.vm(machine).ExportVm())
    assert failed.state == "error"


def test_a_migration_cuts_the_stream(vsphere_lab: VsphereLab, session: Client, lease: Any) -> None:
    before = session.vm("broken").runtime.host.name
    vsphere_lab.fault("vmotion", vm="broken", at=MIB)
    with pytest.raises(http.client.IncompleteRead):
        download(session, lease)
    assert session.vm("broken").runtime.host.name != before
    assert lease.state == "error"


def test_a_host_goes_away_and_comes_back(
    vsphere_lab: VsphereLab, session: Client, machine: str
) -> None:
    host = session.vm(machine).runtime.host
    with vsphere_lab.faulty("host_unreachable", host=host.name):
        assert host.runtime.connectionState == "notResponding"
        with pytest.raises(vmodl.fault.HostNotConnected):
            session.vm(machine).PowerOn()
        assert ready(session.vm(machine).ExportVm()).state == "error"
    assert host.runtime.connectionState == "connected"
    ready(session.vm(machine).ExportVm()).HttpNfcLeaseComplete()


def test_a_session_is_lost_in_the_middle(
    vsphere_lab: VsphereLab, session: Client, machine: str
) -> None:
    lease = ready(session.vm(machine).ExportVm())
    vsphere_lab.fault("session_loss", at=MIB)
    assert len(download(session, lease)) > len(CONTENT)  # streams need no session
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = lease.state
    assert [one["id"] for one in vsphere_lab.state()["leases"]] == [lease._moId]
    with client(vsphere_lab) as again:
        vim.HttpNfcLease(lease._moId, again.instance._stub).HttpNfcLeaseAbort(None)


def test_an_unknown_fault_is_refused(vsphere_lab: VsphereLab) -> None:
    with pytest.raises(RuntimeError, match="no fault"):
        vsphere_lab.fault("gremlin")
