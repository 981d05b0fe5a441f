"""Instances, and what can be done with them at once. What takes minutes is a job."""

from __future__ import annotations

from hypersdk.contract.instances import (
    ConsoleRecord,
    DisksRecord,
    InstanceDetailsRecord,
    InstanceRecord,
    InstancesRecord,
    KeysOrder,
    MetricsRecord,
    NewInstanceRecord,
    SnapshotOrder,
    SnapshotRecord,
    SnapshotsRecord,
    StartOrder,
    StopOrder,
)
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

#: What hypervisors may answer: a wrong state, a fault of theirs, a part that they lack, silence,
#: no room.
_THEIRS = (409, 501, 502, 504, 507)
_ONE = "/v1/hypervisors/{hypervisor}/instances/{instance}"


def _look(name: str, path: str, summary: str, answer: object, media: str = "") -> Route:
    return Route(
        name=name,
        method="GET",
        path=_ONE + path,
        role=Role.VIEWER,
        scope="instances",
        summary=summary,
        answer=answer,
        media=media,
        also=_THEIRS,
    )


def _act(word: str, summary: str, body: object = None) -> Route:
    return Route(
        name=f"{word}_instance",
        method="POST",
        path=f"{_ONE}/{word}",
        role=Role.OPERATOR,
        scope="instances",
        summary=summary,
        body=body,
        answer=InstanceRecord,
        also=_THEIRS,
        action=f"instance.{word}",
    )


def _console(name: str, path: str, summary: str) -> Route:
    return Route(
        name=name,
        method="WEBSOCKET",
        path=f"{_ONE}/console/{path}",
        role=Role.OPERATOR,
        scope="instances",
        summary=summary,
        action="instance.console",
    )


ROUTES: tuple[Route, ...] = (
    Route(
        name="list_instances",
        method="GET",
        path="/v1/instances",
        role=Role.VIEWER,
        scope="instances",
        summary="List instances of all hypervisors, or of one",
        answer=InstancesRecord,
        also=_THEIRS,
    ),
    Route(
        name="create_instance",
        method="POST",
        path="/v1/hypervisors/{hypervisor}/instances",
        role=Role.OPERATOR,
        scope="instances",
        summary="Make an instance, stopped",
        body=NewInstanceRecord,
        answer=InstanceRecord,
        status=201,
        also=_THEIRS,
        action="instance.create",
    ),
    _look("get_instance", "", "An instance, observed now", InstanceRecord),
    Route(
        name="delete_instance",
        method="DELETE",
        path=_ONE,
        role=Role.OPERATOR,
        scope="instances",
        summary="Remove a stopped instance",
        status=204,
        also=_THEIRS,
        action="instance.delete",
    ),
    _look("instance_details", "/details", "All that is known of it", InstanceDetailsRecord),
    _look("instance_disks", "/disks", "Its disks", DisksRecord),
    _look("instance_metrics", "/metrics", "What it uses", MetricsRecord),
    _act("start", "Run it", StartOrder),
    _act("stop", "Ask the guest to power down, or cut its power", StopOrder),
    _act("pause", "Halt its processors"),
    _act("resume", "Let a paused one go on"),
    _act("restart", "Stop it and start it again", StopOrder),
    _act("reset", "As the reset button: the guest is not asked"),
    _look("list_snapshots", "/snapshots", "Its snapshots", SnapshotsRecord),
    Route(
        name="create_snapshot",
        method="POST",
        path=f"{_ONE}/snapshots",
        role=Role.OPERATOR,
        scope="instances",
        summary="Make a snapshot",
        body=SnapshotOrder,
        answer=SnapshotRecord,
        status=201,
        also=_THEIRS,
        action="snapshot.create",
    ),
    Route(
        name="revert_snapshot",
        method="POST",
        path=f"{_ONE}/snapshots/{{snapshot}}/revert",
        role=Role.OPERATOR,
        scope="instances",
        summary="Put it back to a snapshot; what happened since is lost",
        answer=InstanceRecord,
        also=_THEIRS,
        action="snapshot.revert",
    ),
    Route(
        name="delete_snapshot",
        method="DELETE",
        path=f"{_ONE}/snapshots/{{snapshot}}",
        role=Role.OPERATOR,
        scope="instances",
        summary="Forget a snapshot",
        status=204,
        also=_THEIRS,
        action="snapshot.delete",
    ),
    _look("instance_console", "/console", "Ways to its screen and serial line", ConsoleRecord),
    _look("instance_screenshot", "/console/screenshot", "Its screen", None, "image/png"),
    Route(
        name="send_keys",
        method="POST",
        path=f"{_ONE}/console/keys",
        role=Role.OPERATOR,
        scope="instances",
        summary="Press keys",
        body=KeysOrder,
        status=204,
        also=_THEIRS,
        action="instance.keys",
    ),
    _console("serial_console", "serial", "Its serial line, in binary messages"),
    _console("vnc_console", "vnc", "Its VNC display, in binary messages"),
)
