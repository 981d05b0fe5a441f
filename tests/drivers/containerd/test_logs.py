from __future__ import annotations

import threading

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import Interrupted, NotFound
from tests.containers.containerd import IMAGE
from tests.drivers.containerd.lab import Lab, eventually

TALK = "echo one; echo two >&2; echo three; i=0; while :; do sleep 0.2; echo more; done"


def test_both_streams_and_the_last_lines(lab: Lab) -> None:
    lab.running(command=("/bin/sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo end"))
    read = lab.hypervisor.logs.read
    eventually(lambda: read("web"), lambda log: log == b"one\ntwo\nend\n")
    assert read("web", tail=2) == b"two\nend\n"
    assert read("web", tail=0) == b""
    assert read("web", tail=99) == b"one\ntwo\nend\n"


def test_the_last_lines_of_a_long_log(lab: Lab) -> None:
    lab.running(
        command=("/bin/sh", "-c", "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo $i; done")
    )
    eventually(lambda: lab.hypervisor.logs.read("web", tail=1), lambda log: log == b"30000\n")
    lines = lab.hypervisor.logs.read("web", tail=20_000).splitlines()
    assert (len(lines), lines[0]) == (20_000, b"10001")


def test_it_is_written_while_containerd_is_away(lab: Lab) -> None:
    lab.running(command=("/bin/sh", "-c", TALK))
    lab.daemon.kill()
    (log,) = (lab.daemon.folder / "hypersdk" / lab.daemon.namespace / "logs").iterdir()
    before = log.read_bytes().count(b"more")
    eventually(lambda: log.read_bytes().count(b"more"), lambda now: now > before + 2)
    lab.daemon.start()
    assert lab.hypervisor.logs.read("web").count(b"more") > before + 2


def test_following_until_it_stops(lab: Lab) -> None:
    lab.running(command=("/bin/sh", "-c", TALK))
    eventually(lambda: lab.hypervisor.logs.read("web"), lambda log: b"three" in log)
    heard: list[bytes] = []
    thread = threading.Thread(target=lambda: heard.extend(lab.hypervisor.logs.follow("web")))
    thread.start()
    eventually(lambda: b"".join(heard).count(b"more") > 2)
    lab.hypervisor.lifecycle.stop("web", force=True)
    thread.join(20)
    assert not thread.is_alive()
    assert b"one" not in b"".join(heard)


def test_following_can_be_ended(lab: Lab) -> None:
    lab.running(command=("/bin/sh", "-c", TALK))
    follower = lab.hypervisor.logs.follow("web")
    assert next(follower)
    follower.close()  # type: ignore[attr-defined]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Interrupted), token.scope():
        list(lab.hypervisor.logs.follow("web"))


def test_one_that_never_ran_and_one_of_others(lab: Lab) -> None:
    assert lab.hypervisor.logs.read(lab.created()) == b""
    assert list(lab.hypervisor.logs.follow("web")) == []
    lab.daemon.ctr("containers", "create", IMAGE, "theirs")
    with pytest.raises(NotFound, match="not made by HyperSDK"):
        lab.hypervisor.logs.read("theirs")
