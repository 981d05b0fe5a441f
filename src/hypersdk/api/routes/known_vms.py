"""Machines, schedules, webhooks and the WebSocket as they were known before ``/v1``."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request, WebSocket

from hypersdk.api.known import reach, schedules
from hypersdk.api.known.definitions import instance_named
from hypersdk.api.known.live import live_of
from hypersdk.api.known.machines import described, machines
from hypersdk.api.known.power import note, patience, stepped
from hypersdk.api.known.reach import Reached, Which
from hypersdk.api.known.spelling import duration, now, seconds_of
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.known.base import Message, Told
from hypersdk.contract.known.schedules import (
    ScheduledJob,
    ScheduleMade,
    SchedulesAnswer,
    ScheduleStats,
    ShownSchedule,
    TriggeredAnswer,
)
from hypersdk.contract.known.vms import VmAsked, VmInfoAnswer, VmsAnswer
from hypersdk.contract.known.webhooks import (
    KnownWebhook,
    ShownWebhook,
    WebhookMade,
    WebhooksAnswer,
    WebhookTest,
)
from hypersdk.drivers.ports import Lifecycle
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.estate import Webhook
from hypersdk.model.schedules import Schedule
from hypersdk.observe.redact import is_secret_name

#: Schedules that are asked for at once.
_PAGE = 1000
#: What is shown in the place of a header's value.
_HIDDEN = "***"
#: A delivery is tried at growing intervals for a day.
_RETRIES = 3


# Machines.


def known_list_vms(services: WithServices, who: Who, hypervisor: Which = "") -> VmsAnswer:
    """Credentials in the query are not looked at: the daemon has its own."""
    with reach.opened(services, who, hypervisor) as here:
        found = machines(here)
    return VmsAnswer(vms=found, total=len(found), timestamp=now())


def known_vm_info(
    services: WithServices, who: Who, body: VmAsked, hypervisor: Which = ""
) -> VmInfoAnswer:
    with reach.opened(services, who, hypervisor) as here:
        found = described(here, _name(services, here, body))
    return VmInfoAnswer(vm_info=found, timestamp=now())


def known_shutdown_vm(
    services: WithServices, who: Who, request: Request, body: VmAsked, hypervisor: Which = ""
) -> Told:
    """Waits `timeout` seconds at most, and not longer than a request may take; a guest that does
    not obey in time runs on, and the answer is 504."""
    seconds = patience(services, body.timeout)

    def stop(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.stop(id, timeout=seconds)

    with reach.opened(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, _name(services, here, body), stop, "stopped")
    return Told(message=f"{found.name} is shut down", timestamp=now())


def known_poweroff_vm(
    services: WithServices, who: Who, request: Request, body: VmAsked, hypervisor: Which = ""
) -> Told:
    def stop(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.stop(id, force=True)

    with reach.opened(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, _name(services, here, body), stop, "stopped")
    return Told(message=f"{found.name} is powered off", timestamp=now())


def known_remove_cdrom(
    services: WithServices, who: Who, request: Request, body: VmAsked, hypervisor: Which = ""
) -> Told:
    """The drives stay, empty. Nothing is put back later: the message says what was taken out."""
    with reach.opened(services, who, hypervisor) as here:
        name = reach.inventory(here.hypervisor).instance(_name(services, here, body)).name
        removed = list(_ejected(here, name))
        note(services, who, request, here, name, "changed")
    there = "; ".join(removed) or "there was nothing in its CD drives"
    return Told(message=f"{name}: {there}", timestamp=now())


def _ejected(here: Reached, name: str) -> Iterator[str]:
    hotplug = reach.hotplug(here.hypervisor)
    if here.hypervisor.details is None:
        hotplug.eject_media(name)
        yield "the first CD drive was emptied"
        return
    for device in here.hypervisor.details.details(name).devices:
        if device.kind == "cdrom" and device.detail:
            hotplug.eject_media(name, device.name)
            yield f"{device.detail} was taken out of {device.name}"


def _name(services: Services, here: Reached, body: VmAsked) -> str:
    return instance_named(services.hypervisors.get(here.name), body.vm_path)


# Schedules.


def known_list_schedules(services: WithServices, who: Who) -> SchedulesAnswer:
    """Those of any kind of job; oldest first."""
    found = [schedules.shown_schedule(each) for each in _all(services, who)]
    return SchedulesAnswer(schedules=found, total=len(found), timestamp=now())


def known_create_schedule(
    services: WithServices,
    who: Who,
    request: Request,
    body: ScheduledJob,
    hypervisor: Which = "",
) -> ScheduleMade:
    """Without an id one is made."""
    wanted = schedules.new(services, who, body, hypervisor, None)
    made = services.schedules.create(wanted)
    note_change(request, f"schedules/{made.id}", None, {"cron": made.cron, "name": made.name})
    return ScheduleMade(
        message="schedule created successfully", schedule=schedules.shown_schedule(made)
    )


def known_schedule_stats(services: WithServices, who: Who) -> ScheduleStats:
    found = _all(services, who)
    moments = [each.next_run for each in found if each.next_run is not None]
    return ScheduleStats(
        total_schedules=len(found),
        enabled_schedules=sum(each.enabled for each in found),
        total_runs=sum(each.runs for each in found),
        next_running=min(moments, default=None),
    )


def known_get_schedule(services: WithServices, who: Who, id: str) -> ShownSchedule:
    """By id or name."""
    return schedules.shown_schedule(_schedule(services, who, id))


def known_update_schedule(
    services: WithServices,
    who: Who,
    request: Request,
    id: str,
    body: ScheduledJob,
    hypervisor: Which = "",
) -> Message:
    """What is left out of `name description enabled tags` stays as it was."""
    before = _schedule(services, who, id)
    wanted = schedules.new(services, who, body, hypervisor, before)
    after = services.schedules.replace(before.id, wanted, revision=None)
    note_change(
        request,
        f"schedules/{before.id}",
        {"cron": before.cron, "enabled": before.enabled},
        {"cron": after.cron, "enabled": after.enabled},
    )
    return Message(message="schedule updated successfully")


def known_delete_schedule(services: WithServices, who: Who, request: Request, id: str) -> Message:
    """Jobs that it made go on."""
    before = _schedule(services, who, id)
    services.schedules.delete(before.id)
    note_change(request, f"schedules/{before.id}", {"cron": before.cron}, None)
    return Message(message="schedule deleted successfully")


def known_enable_schedule(services: WithServices, who: Who, request: Request, id: str) -> Message:
    found = _schedule(services, who, id)
    services.schedules.enable(found.id)
    note_change(request, f"schedules/{found.id}", {"enabled": found.enabled}, {"enabled": True})
    return Message(message="schedule enabled successfully")


def known_disable_schedule(services: WithServices, who: Who, request: Request, id: str) -> Message:
    found = _schedule(services, who, id)
    services.schedules.disable(found.id)
    note_change(request, f"schedules/{found.id}", {"enabled": found.enabled}, {"enabled": False})
    return Message(message="schedule disabled successfully")


def known_trigger_schedule(
    services: WithServices, who: Who, request: Request, id: str
) -> TriggeredAnswer:
    """Its next moment stays what it is."""
    found = _schedule(services, who, id)
    job = services.schedules.trigger(found.id)
    note_change(request, f"schedules/{found.id}", None, {"job": job})
    return TriggeredAnswer(message="schedule triggered successfully", job_id=job)


def _all(services: Services, who: Principal) -> list[Schedule]:
    found: list[Schedule] = []
    while True:
        after = found[-1].id if found else ""
        page = services.schedules.list(tenant=who.tenant or None, limit=_PAGE, after=after)
        found += page
        if len(page) < _PAGE:
            return found


def _schedule(services: Services, who: Principal, id: str) -> Schedule:
    return services.schedules.get(id, tenant=who.tenant or None)


# Webhooks.


def known_list_webhooks(services: WithServices, who: Who) -> WebhooksAnswer:
    """Oldest first: that is their index."""
    found = [_webhook(each) for each in services.webhooks.list(tenant=who.tenant or None)]
    return WebhooksAnswer(webhooks=found, total=len(found), timestamp=now())


def known_add_webhook(
    services: WithServices, who: Who, request: Request, body: KnownWebhook
) -> WebhookMade:
    """Deliveries are signed (Standard Webhooks); the secret is shown here and nowhere else."""
    made, secret = services.webhooks.create(
        body.url,
        events=[] if "*" in body.events else body.events,
        tenant=who.tenant,
        headers=body.headers,
        timeout=seconds_of(body.timeout, "timeout"),
        enabled=body.enabled,
        trusted=not who.tenant,
    )
    note_change(request, f"webhooks/{made.id}", None, {"url": made.url})
    return WebhookMade(message="webhook added successfully", webhook=_webhook(made), secret=secret)


def known_test_webhook(
    services: WithServices, who: Who, request: Request, body: WebhookTest
) -> Message:
    """A `webhook.test` is delivered; `/v1/webhooks/{id}/deliveries` says what came of it."""
    for each in services.webhooks.list(tenant=who.tenant or None):
        if each.url == body.url:
            made = services.webhooks.test(each.id, tenant=who.tenant or None)
            note_change(request, f"webhooks/{each.id}", None, {"delivery": made.id})
            return Message(message=f"test webhook sent: delivery {made.id} of webhook {each.id}")
    raise NotFound(
        "no webhook has this URL", hint="Add it first (POST /webhooks): tests go to no other."
    )


def known_delete_webhook(services: WithServices, who: Who, request: Request, index: str) -> Message:
    """By its index in the list, or by its id, which another deletion does not move."""
    known = services.webhooks.list(tenant=who.tenant or None)
    found = _chosen(list(known), index)
    services.webhooks.delete(found.id)
    note_change(request, f"webhooks/{found.id}", {"url": found.url}, None)
    return Message(message="webhook deleted successfully")


def _chosen(known: list[Webhook], index: str) -> Webhook:
    for each in known:
        if each.id == index:
            return each
    if not (index.isascii() and index.isdecimal()) or len(index) > 9:
        raise InvalidInput(
            f"'{index[:40]}' is no index of a webhook", hint="It is a number from 0, or an id."
        )
    if int(index) >= len(known):
        raise NotFound(
            f"there is no webhook {index}", hint=f"There are {len(known)}, counted from 0."
        )
    return known[int(index)]


def _webhook(found: Webhook) -> ShownWebhook:
    return ShownWebhook(
        url=found.url,
        events=list(found.events),
        headers={name: _header(name, value) for name, value in found.headers.items()},
        timeout=duration(found.timeout),
        retry=_RETRIES,
        enabled=found.enabled,
    )


def _header(name: str, value: str) -> str:
    reference = value.partition(":")[0] in {"env", "file", "keyring", "vault"}
    return value if reference or not is_secret_name(name) else _HIDDEN


# The WebSocket.


async def known_live(who: Who, socket: WebSocket) -> None:
    """See `docs/known-api.md`."""
    await live_of(socket.app).serve(socket, who)


HANDLERS = {
    "known_list_vms": known_list_vms,
    "known_vm_info": known_vm_info,
    "known_shutdown_vm": known_shutdown_vm,
    "known_poweroff_vm": known_poweroff_vm,
    "known_remove_cdrom": known_remove_cdrom,
    "known_list_schedules": known_list_schedules,
    "known_create_schedule": known_create_schedule,
    "known_schedule_stats": known_schedule_stats,
    "known_get_schedule": known_get_schedule,
    "known_update_schedule": known_update_schedule,
    "known_delete_schedule": known_delete_schedule,
    "known_enable_schedule": known_enable_schedule,
    "known_disable_schedule": known_disable_schedule,
    "known_trigger_schedule": known_trigger_schedule,
    "known_list_webhooks": known_list_webhooks,
    "known_add_webhook": known_add_webhook,
    "known_test_webhook": known_test_webhook,
    "known_delete_webhook": known_delete_webhook,
    "known_live": known_live,
}
