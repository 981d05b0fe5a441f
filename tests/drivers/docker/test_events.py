from __future__ import annotations

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.drivers.docker.events import DockerFollowing
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.instances import EventKind, InstanceEvent, InstanceState
from tests.containers.dockerd import IMAGE, Dockerd
from tests.drivers.docker.lab import made, running


def awaited(following: DockerFollowing, count: int) -> list[tuple[EventKind, str, InstanceState]]:
    found: list[InstanceEvent] = []
    while len(found) < count:
        event = following.next(10)
        assert event is not None, found
        found.append(event)
    return [(event.kind, event.name, event.state) for event in found]


def test_a_life(docker: DockerHypervisor) -> None:
    running(docker, "before")
    with docker.events.follow() as following:
        assert set(following.instances()) == {"before"}
        assert following.next(0.2) is None
        running(docker)
        docker.lifecycle.pause("web")
        docker.lifecycle.resume("web")
        docker.lifecycle.stop("web")
        stopped = (EventKind.STATE, "web", InstanceState.STOPPED)
        found = awaited(following, 5)
        assert found[0][:2] == (EventKind.DEFINED, "web")
        assert found[1:] == [
            (EventKind.STATE, "web", InstanceState.RUNNING),
            (EventKind.STATE, "web", InstanceState.PAUSED),
            (EventKind.STATE, "web", InstanceState.RUNNING),
            stopped,
        ]
        assert following.instances()["web"].state is InstanceState.STOPPED
        assert following.instances()["web"].owned
        docker.lifecycle.delete("web")
        assert awaited(following, 1)[0][:2] == (EventKind.REMOVED, "web")
        assert set(following.instances()) == {"before"}


def test_made_anew_it_is_the_same(docker: DockerHypervisor) -> None:
    identity = made(docker).id
    docker.snapshots.create("web", "a")
    with docker.events.follow() as following:
        docker.snapshots.revert("web", "a")
        docker.lifecycle.start("web")
        kinds: list[InstanceEvent] = []
        while not kinds or kinds[-1].kind is not EventKind.STATE:
            event = following.next(10)
            assert event is not None
            kinds.append(event)
        assert {event.id for event in kinds} == {identity}
        assert EventKind.REMOVED not in {event.kind for event in kinds}
        assert following.instances()["web"].state is InstanceState.RUNNING


def test_those_of_others_and_new_names(docker: DockerHypervisor, engine: Dockerd) -> None:
    with docker.events.follow() as following:
        engine.run("create", "--name", "first", IMAGE, "true")
        engine.run("rename", "first", "second")
        found = awaited(following, 2)
        assert [event[:2] for event in found] == [
            (EventKind.DEFINED, "first"),
            (EventKind.DEFINED, "second"),
        ] or [event[1] for event in found] == ["second", "second"]
        assert set(following.instances()) == {"second"}


def test_a_lost_connection_is_said(docker: DockerHypervisor, engine: Dockerd) -> None:
    with docker.events.follow() as following:
        engine.stop()
        with pytest.raises(HypervisorUnreachable):
            awaited(following, 2)  # of which there is none
        with pytest.raises(HypervisorUnreachable):
            following.next(10)
    engine.start()
    with docker.events.follow() as following:
        made(docker)
        assert awaited(following, 1)[0][1] == "web"


def test_closing_twice(docker: DockerHypervisor) -> None:
    following = docker.events.follow()
    following.close()
    following.close()
