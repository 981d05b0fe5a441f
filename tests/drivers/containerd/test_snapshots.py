from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hypersdk.model.errors import AlreadyExists, InvalidInput, NotFound, NotSupported
from hypersdk.model.instances import InstanceState
from tests.drivers.containerd.lab import Lab


def _tree(lab: Lab) -> dict[str, str]:
    return {kept.name: kept.parent for kept in lab.hypervisor.snapshots.snapshots("web")}


def test_content_comes_back_while_it_runs(lab: Lab) -> None:
    part = lab.hypervisor.snapshots
    lab.running()
    lab.shell("echo one >/data; rm /etc/group; mkdir /new; echo x >/new/file")
    made = part.create("web", "first", description="before the update")
    assert (made.name, made.parent, made.current) == ("first", "", True)
    assert (made.state, made.memory) == (InstanceState.RUNNING, False)
    assert made.description == "before the update"
    assert lab.state() is InstanceState.RUNNING
    lab.shell("echo two >/data; rm -r /new; echo back >/etc/group")
    part.revert("web", "first")
    assert lab.state() is InstanceState.RUNNING
    assert lab.shell("cat /data /new/file; ls /etc") == b"one\nx\npasswd\n"


def test_states_are_as_before_a_revert(lab: Lab) -> None:
    part = lab.hypervisor.snapshots
    lab.running()
    part.create("web", "first")
    lab.hypervisor.lifecycle.pause("web")
    part.create("web", "second")
    assert lab.state() is InstanceState.PAUSED
    part.revert("web", "first")
    assert lab.state() is InstanceState.PAUSED
    lab.hypervisor.lifecycle.stop("web", force=True)
    part.revert("web", "second")
    assert lab.state() is InstanceState.STOPPED


def test_a_tree_and_what_is_deleted_of_it(lab: Lab) -> None:
    part = lab.hypervisor.snapshots
    lab.running()
    for word in ("one", "two", "three"):
        lab.shell(f"echo {word} >/data")
        part.create("web", word)
    part.revert("web", "one")
    lab.shell("echo branch >/data")
    part.create("web", "branch")
    assert _tree(lab) == {"one": "", "two": "one", "three": "two", "branch": "one"}
    part.delete("web", "one")
    assert _tree(lab) == {"two": "", "three": "two", "branch": ""}
    assert lab.shell("cat /data") == b"branch\n"
    part.revert("web", "three")
    assert lab.shell("cat /data") == b"three\n"
    part.delete("web", "two", children=True)
    assert _tree(lab) == {"branch": ""}
    assert not any(kept.current for kept in part.snapshots("web"))
    # What it stands on stays until it goes.
    assert lab.shell("cat /data") == b"three\n"
    lab.shell("echo four >/data")
    part.create("web", "four")
    part.revert("web", "branch")
    part.revert("web", "four")
    assert lab.shell("cat /data") == b"four\n"


def test_a_copy_is_of_one_moment(lab: Lab) -> None:
    """A counter that is written to two files, one after the other, is never seen far apart."""
    loop = "i=0; while :; do i=$((i+1)); echo $i >/a; echo $i >/b; done"
    lab.running(command=("/bin/sh", "-c", loop))
    lab.hypervisor.snapshots.create("web", "first")
    lab.hypervisor.lifecycle.stop("web", force=True)
    lab.hypervisor.snapshots.revert("web", "first")
    lab.hypervisor.lifecycle.start("web", paused=True)
    root = f"/proc/{lab.daemon.ctr('tasks', 'list').split()[-2]}/root"
    numbers = [Path(root, name).read_text().strip() for name in ("a", "b")]
    first, second = (int(number or -1) for number in numbers)
    # One of them may just have been emptied.
    assert -1 in (first, second) or first - second in (0, 1)


def test_others_are_not_disturbed(lab: Lab) -> None:
    lab.created("web")
    lab.created("web2")
    lab.hypervisor.snapshots.create("web", "same")
    lab.hypervisor.snapshots.create("web2", "same")
    lab.hypervisor.snapshots.delete("web", "same")
    assert [kept.name for kept in lab.hypervisor.snapshots.snapshots("web2")] == ["same"]


def test_they_go_with_the_instance_whoever_deletes_it(lab: Lab) -> None:
    before = lab.observer.resources()
    lab.created()
    for word in ("one", "two"):
        lab.hypervisor.snapshots.create("web", word)
    assert len(lab.observer.resources() - before) >= 4
    lab.daemon.ctr("containers", "rm", "web")
    # The fixture waits until nothing is left.
    lab.created()
    assert _tree(lab) == {}


def test_refusals(lab: Lab) -> None:
    part = lab.hypervisor.snapshots
    lab.created()
    part.create("web", "first")
    before = lab.observer.resources()
    with pytest.raises(AlreadyExists):
        part.create("web", "first")
    with pytest.raises(NotSupported):
        part.create("web", "second", memory=True)
    with pytest.raises(NotSupported):
        part.create("web", "second", quiesce=True)
    with pytest.raises(InvalidInput):
        part.create("web", " ")
    with pytest.raises(InvalidInput):
        part.create("web", "second", description="x" * 5000)
    with pytest.raises(NotFound, match="'none'"):
        part.revert("web", "none")
    with pytest.raises(NotFound, match="'none'"):
        part.delete("web", "none")
    assert lab.observer.resources() == before
    assert _tree(lab) == {"first": ""}


def test_snapshots_of_many_at_once(lab: Lab) -> None:
    names = [lab.created(f"web{number}") for number in range(6)]
    threads = [
        threading.Thread(target=lab.hypervisor.snapshots.create, args=(name, "first"))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        assert [kept.name for kept in lab.hypervisor.snapshots.snapshots(name)] == ["first"]
