"""Machines, schedules, webhooks and the WebSocket as they were known before ``/v1``."""

from __future__ import annotations

from typing import Any

from hypersdk.contract.known import schedules, vms, webhooks
from hypersdk.contract.known.base import Message, Told
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role


def _look(name: str, path: str, scope: str, summary: str, answer: Any, body: Any = None) -> Route:
    return Route(
        name=name,
        method="GET" if body is None else "POST",
        path=path,
        role=Role.ADMIN if scope == "webhooks" else Role.VIEWER,
        scope=scope,
        summary=summary,
        answer=answer,
        body=body,
        versioned=False,
    )


def _change(
    name: str,
    method: str,
    path: str,
    action: str,
    summary: str,
    answer: Any,
    body: Any = None,
    status: int = 200,
) -> Route:
    scope = {"instance": "instances", "schedule": "schedules", "webhook": "webhooks"}
    part = action.partition(".")[0]
    return Route(
        name=name,
        method=method,
        path=path,
        role=Role.ADMIN if part == "webhook" else Role.OPERATOR,
        scope=scope[part],
        summary=summary,
        answer=answer,
        body=body,
        status=status,
        action=action,
        versioned=False,
    )


_VMS = (
    _look("known_list_vms", "/vms/list", "instances", "Machines of a hypervisor", vms.VmsAnswer),
    _look(
        "known_vm_info",
        "/vms/info",
        "instances",
        "One machine",
        vms.VmInfoAnswer,
        vms.VmAsked,
    ),
    _change(
        "known_shutdown_vm",
        "POST",
        "/vms/shutdown",
        "instance.stop",
        "Ask a guest to shut down, and wait for it",
        Told,
        vms.VmAsked,
    ),
    _change(
        "known_poweroff_vm",
        "POST",
        "/vms/poweroff",
        "instance.poweroff",
        "Cut the power of a machine",
        Told,
        vms.VmAsked,
    ),
    _change(
        "known_remove_cdrom",
        "POST",
        "/vms/remove-cdrom",
        "instance.eject",
        "Take the media out of a machine's CD drives; the message names them",
        Told,
        vms.VmAsked,
    ),
)

_SCHEDULES = (
    _look("known_list_schedules", "/schedules", "schedules", "All", schedules.SchedulesAnswer),
    _change(
        "known_create_schedule",
        "POST",
        "/schedules",
        "schedule.create",
        "Make a schedule",
        schedules.ScheduleMade,
        schedules.ScheduledJob,
        status=201,
    ),
    _look(
        "known_schedule_stats",
        "/schedules/stats",
        "schedules",
        "How many there are and when the next one is due",
        schedules.ScheduleStats,
    ),
    _look("known_get_schedule", "/schedules/{id}", "schedules", "One", schedules.ShownSchedule),
    _change(
        "known_update_schedule",
        "PUT",
        "/schedules/{id}",
        "schedule.update",
        "Replace a schedule",
        Message,
        schedules.ScheduledJob,
    ),
    _change(
        "known_delete_schedule",
        "DELETE",
        "/schedules/{id}",
        "schedule.delete",
        "Forget a schedule",
        Message,
    ),
    _change(
        "known_enable_schedule",
        "POST",
        "/schedules/{id}/enable",
        "schedule.enable",
        "Let it begin jobs",
        Message,
    ),
    _change(
        "known_disable_schedule",
        "POST",
        "/schedules/{id}/disable",
        "schedule.disable",
        "Have it begin no jobs",
        Message,
    ),
    _change(
        "known_trigger_schedule",
        "POST",
        "/schedules/{id}/trigger",
        "schedule.trigger",
        "Begin its job now",
        schedules.TriggeredAnswer,
    ),
)

_WEBHOOKS = (
    _look("known_list_webhooks", "/webhooks", "webhooks", "All", webhooks.WebhooksAnswer),
    _change(
        "known_add_webhook",
        "POST",
        "/webhooks",
        "webhook.create",
        "Add a webhook",
        webhooks.WebhookMade,
        webhooks.KnownWebhook,
        status=201,
    ),
    _change(
        "known_test_webhook",
        "POST",
        "/webhooks/test",
        "webhook.test",
        "Send a test to a webhook that was added",
        Message,
        webhooks.WebhookTest,
    ),
    _change(
        "known_delete_webhook",
        "DELETE",
        "/webhooks/{index}",
        "webhook.delete",
        "Remove a webhook by its place in the list",
        Message,
    ),
)

ROUTES: tuple[Route, ...] = (
    *_VMS,
    *_SCHEDULES,
    *_WEBHOOKS,
    Route(
        name="known_live",
        method="WEBSOCKET",
        path="/ws",
        role=Role.VIEWER,
        scope="jobs",
        summary="Status and jobs at once, changes of jobs, and figures every second",
        versioned=False,
    ),
)
