from __future__ import annotations

import threading
from pathlib import Path
from tempfile import gettempdir

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import (
    Interrupted,
    InvalidInput,
    InvalidState,
    NotFound,
    OperationTimeout,
)
from tests.drivers.containerd.lab import Lab, eventually


def _folders() -> set[Path]:
    return set(Path(gettempdir()).glob("hypersdk-exec-*"))


def test_output_errors_and_exit_code(lab: Lab) -> None:
    lab.running()
    done = lab.hypervisor.execution.run("web", ("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


@pytest.mark.parametrize("size", [1, 1000, 65_536, 3_000_000])
def test_input_is_read_to_its_end(lab: Lab, size: int) -> None:
    lab.running()
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert lab.hypervisor.execution.run("web", ("cat",), stdin=data).stdout == data


def test_input_that_nobody_reads(lab: Lab) -> None:
    lab.running()
    done = lab.hypervisor.execution.run("web", ("echo", "hello"), stdin=b"x" * 1_000_000)
    assert done.stdout == b"hello\n"


def test_variables_are_added(lab: Lab) -> None:
    lab.running(env={"A": "1", "B": "2"})
    done = lab.hypervisor.execution.run("web", ("sh", "-c", "echo $A$B$LAB"), env={"B": "x y"})
    assert done.stdout == b"1x yyes\n"


def test_it_is_killed_when_its_time_is_over(lab: Lab) -> None:
    lab.running()
    with pytest.raises(OperationTimeout, match="was killed"):
        lab.hypervisor.execution.run("web", ("sleep", "8640"), timeout=0.3)
    eventually(
        lambda: lab.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        lambda found: b"sleep 8640" not in found,
    )


def test_it_is_killed_when_it_is_cancelled(lab: Lab) -> None:
    lab.running()
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    with pytest.raises(Interrupted), token.scope():
        lab.hypervisor.execution.run("web", ("sleep", "8641"))
    eventually(
        lambda: lab.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        lambda found: b"sleep 8641" not in found,
    )


def test_what_cannot_be_run(lab: Lab) -> None:
    before = _folders()
    lab.running()
    run = lab.hypervisor.execution.run
    with pytest.raises(NotFound, match="'nothing'"):
        run("web", ("nothing",))
    with pytest.raises(NotFound):
        run("web", ("/no/such",))
    with pytest.raises(InvalidInput):
        run("web", ())
    lab.hypervisor.lifecycle.pause("web")
    with pytest.raises(InvalidState, match="paused"):
        run("web", ("true",))
    lab.hypervisor.lifecycle.stop("web", force=True)
    with pytest.raises(InvalidState, match="stopped"):
        run("web", ("true",))
    # Others run beside us, and may be at it just now.
    eventually(lambda: _folders() - before, lambda left: not left)


def test_many_at_once(lab: Lab) -> None:
    lab.running()
    found: dict[int, bytes] = {}

    def run(number: int) -> None:
        command = ("sh", "-c", f"cat; echo {number}")
        found[number] = lab.hypervisor.execution.run("web", command, stdin=b"in ").stdout

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: f"in {number}\n".encode() for number in range(12)}
