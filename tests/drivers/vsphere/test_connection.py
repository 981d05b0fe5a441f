from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyVmomi import vim

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.registry import connect
from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.wrappers.guarded import connect_guarded
from hypersdk.model.errors import (
    HypervisorDenied,
    HypervisorUnreachable,
    Interrupted,
    InvalidInput,
    InvalidState,
    NotFound,
    OperationTimeout,
)
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab

ROOT = Path(__file__).parents[3]


def _sessions(lab: VsphereLab) -> int:
    return len(lab.state()["sessions"])


def test_closing_logs_out(vsphere_lab: VsphereLab) -> None:
    before = _sessions(vsphere_lab)
    made = Connection(address(vsphere_lab.url))
    assert _sessions(vsphere_lab) == before + 1
    made.close()
    made.close()
    assert _sessions(vsphere_lab) == before
    with pytest.raises(HypervisorUnreachable, match="closed"):
        made.content  # noqa: B018
    with pytest.raises(HypervisorUnreachable, match="closed"):
        made.call(lambda: None)


def test_a_forgotten_connection_logs_out(vsphere_lab: VsphereLab) -> None:
    before = _sessions(vsphere_lab)
    Connection(address(vsphere_lab.url))
    gc.collect()
    assert _sessions(vsphere_lab) == before


def test_the_end_of_a_program_logs_out(vsphere_lab: VsphereLab) -> None:
    before = _sessions(vsphere_lab)
    program = (
        "import sys; from hypersdk.drivers.registry import connect\n"
        f"kept = connect({vsphere_lab.url!r})\nsys.exit(3)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 3
    assert _sessions(vsphere_lab) == before


def test_a_wrong_password(vsphere_lab: VsphereLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVC_PASSWORD", "s3cret-and-wrong")
    before = _sessions(vsphere_lab)
    with pytest.raises(HypervisorDenied, match="log in") as raised:
        Connection(address(vsphere_lab.url))
    assert "s3cret" not in str(raised.value)
    assert "password" in raised.value.hint
    assert _sessions(vsphere_lab) == before


def test_nobody_there(vsphere_lab: VsphereLab) -> None:
    with pytest.raises(HypervisorUnreachable, match=r"127\.0\.0\.1:1"):
        Connection(address("vsphere://lab@127.0.0.1:1/"))


def test_a_lost_session_is_renewed_once_for_all_threads(
    vsphere_lab: VsphereLab, connection: Connection, made: Made
) -> None:
    machine = connection.vm(made(disks=[{"size": 1 << 20}]))
    logins = vsphere_lab.state()["calls"]["Login"]
    vsphere_lab.fault("session_loss")
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda _: connection.get(machine, "name")["name"], range(16)))
    assert len(set(names)) == 1
    assert vsphere_lab.state()["calls"]["Login"] == logins + 1


def test_a_call_that_must_not_be_made_again_is_not(
    vsphere_lab: VsphereLab, connection: Connection
) -> None:
    calls = []

    def call() -> object:
        calls.append(1)
        return (
            connection.content.sessionManager.currentSession,
            connection.content.viewManager.CreateListView([]),
        )

    connection.call(call, "look", again=False)
    vsphere_lab.fault("session_loss")
    with pytest.raises(HypervisorUnreachable, match="cannot look"):
        connection.call(call, "look", again=False)
    assert len(calls) == 2
    connection.call(call, "look")


def test_listing_goes_on_after_a_lost_session(
    vsphere_lab: VsphereLab, connection: Connection, made: Made
) -> None:
    names = {made() for _ in range(3)}
    found = []
    for at, (_, row) in enumerate(connection.collect(vim.VirtualMachine, ("name",))):
        found.append(row["name"])
        if at == 0:
            vsphere_lab.fault("session_loss")
    assert sorted(found) == sorted(set(found))
    assert names <= set(found)


def test_a_missing_privilege_names_itself_and_the_machine(
    vsphere_lab: VsphereLab, connection: Connection, made: Made
) -> None:
    name = made()
    machine = connection.vm(name)
    vsphere_lab.fault("soap_fault", method="Rename_Task", fault="NoPermission")
    with pytest.raises(HypervisorDenied, match=f"rename '{name}'"):
        connection.task(lambda: machine.Rename_Task("other"), f"rename '{name}'")


def test_tasks_give_their_result_and_their_error(connection: Connection, made: Made) -> None:
    machine = connection.vm(made())
    connection.task(machine.PowerOnVM_Task, "start it")
    with pytest.raises(InvalidState, match="cannot start it"):
        connection.task(machine.PowerOnVM_Task, "start it")
    connection.task(machine.PowerOffVM_Task, "stop it")
    snapshot = connection.task(
        lambda: machine.CreateSnapshot_Task("one", "", False, False), "take a snapshot"
    )
    assert isinstance(snapshot, vim.vm.Snapshot)


def test_waiting_ends(connection: Connection, made: Made) -> None:
    machine = connection.vm(made())
    with pytest.raises(OperationTimeout, match="wait for it"):
        connection.wait(machine, ("name",), lambda known: False, 0.1, "wait for it")
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    began = time.monotonic()
    with token.scope(), pytest.raises(Interrupted):
        connection.wait(machine, ("name",), lambda known: False, 60)
    assert time.monotonic() - began < 20


def test_waiting_hears_of_a_change_and_outlives_a_session(
    vsphere_lab: VsphereLab, connection: Connection, made: Made
) -> None:
    machine = connection.vm(made())
    other = Connection(address(vsphere_lab.url))

    def change() -> None:
        vsphere_lab.fault("session_loss")
        other.task(other.object(vim.VirtualMachine, machine._moId).PowerOnVM_Task, "start")
        other.close()

    threading.Timer(0.3, change).start()
    found = connection.wait(
        machine,
        ("runtime.powerState",),
        lambda known: str(known["runtime.powerState"]) == "poweredOn",
        60,
    )
    assert str(found["runtime.powerState"]) == "poweredOn"
    connection.task(machine.PowerOffVM_Task, "stop")


def test_what_is_gone_is_not_found(connection: Connection) -> None:
    gone = connection.object(vim.VirtualMachine, "vm-999999")
    with pytest.raises(NotFound):
        connection.get(gone, "name")
    assert connection.many([gone], "name") == {}
    assert connection.many([], "name") == {}


def test_http_beside_soap(connection: Connection) -> None:
    http = connection.http("https://*/sdk/vimServiceVersions.xml")
    http.request("GET", "/sdk/vimServiceVersions.xml")
    assert http.getresponse().status == 200
    http.close()
    assert "vmware_soap_session" in connection.headers("https://*/nfc/x")["Cookie"]
    assert connection.headers("https://esx.example/nfc/x") == {}
    with pytest.raises(InvalidInput, match="https"):
        connection.http("http://*/nfc")


def test_the_url_has_no_secret(connection: Connection) -> None:
    assert ":lab@" not in connection.url
    assert connection.url.startswith("vsphere://lab@127.0.0.1")


def test_guards_fit_around_it(vsphere_lab: VsphereLab, made: Made) -> None:
    name = made()
    hypervisor = connect_guarded(vsphere_lab.url)
    assert hypervisor.inventory is not None
    assert hypervisor.details is not None
    assert name in [found.name for found in hypervisor.inventory.instances()]
    assert hypervisor.details.details(name).instance.name == name
    hypervisor.close()


def test_it_is_found_by_its_scheme(vsphere_lab: VsphereLab) -> None:
    hypervisor = connect(vsphere_lab.url)
    assert hypervisor.url == address(vsphere_lab.url).url
    hypervisor.close()
