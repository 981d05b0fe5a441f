"""Hypervisors, instances, repositories, webhooks and events, from a client's side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from hypersdk.client.connection import Connection
from hypersdk.client.paging import pages

if TYPE_CHECKING:  # slow to import
    from hypersdk.contract.estate import (
        DeliveryRecord,
        EventRecord,
        HealthRecord,
        HypervisorChange,
        KnownHypervisor,
        KnownRepository,
        NewHypervisor,
        NewRepository,
        NewWebhook,
        NewWebhookRecord,
        PointRecord,
        PruneOrder,
        RepositoryChange,
        StatisticsRecord,
        VerifyOrder,
        WebhookChange,
        WebhookRecord,
    )
    from hypersdk.contract.instances import (
        ConsoleRecord,
        DiskRecord,
        InstanceDetailsRecord,
        InstanceRecord,
        InstancesRecord,
        MetricsRecord,
        NewInstanceRecord,
        SnapshotOrder,
        SnapshotRecord,
    )
    from hypersdk.contract.jobs import SubmittedRecord


def _match(revision: int | None) -> dict[str, str]:
    """The header that refuses a change of what somebody else changed meanwhile."""
    return {} if revision is None else {"If-Match": f'"{revision}"'}


class Hypervisors:
    """``client.hypervisors``. Methods raise DaemonUnreachable, DaemonRefused."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[KnownHypervisor]:
        return pages(self._connection, "list_hypervisors")

    def get(self, name: str) -> KnownHypervisor:
        return cast("KnownHypervisor", self._connection.call("get_hypervisor", {"name": name}))

    def create(self, new: NewHypervisor) -> KnownHypervisor:
        return cast("KnownHypervisor", self._connection.call("create_hypervisor", body=new))

    def replace(
        self, name: str, change: HypervisorChange, *, revision: int | None = None
    ) -> KnownHypervisor:
        return cast(
            "KnownHypervisor",
            self._connection.call(
                "replace_hypervisor", {"name": name}, body=change, headers=_match(revision)
            ),
        )

    def delete(self, name: str) -> None:
        self._connection.call("delete_hypervisor", {"name": name})

    def health(self, name: str) -> HealthRecord:
        """Ask it now."""
        return cast("HealthRecord", self._connection.call("hypervisor_health", {"name": name}))

    def test(self, url: str) -> HealthRecord:
        """Whether one could be used, before it is made known."""
        return cast("HealthRecord", self._connection.call("test_hypervisor", body={"url": url}))


class Instances:
    """``client.instances``: those of all hypervisors that the daemon knows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(self, **filters: Any) -> InstancesRecord:
        """One part of the list, with its age and who could not be asked."""
        return cast("InstancesRecord", self._connection.call("list_instances", query=filters))

    def list(self, **filters: Any) -> Iterator[InstanceRecord]:
        """Filters: ``hypervisor name state tag folder refresh``."""
        return pages(self._connection, "list_instances", filters)

    def get(self, hypervisor: str, instance: str) -> InstanceRecord:
        return cast("InstanceRecord", self._call("get_instance", hypervisor, instance))

    def details(self, hypervisor: str, instance: str) -> InstanceDetailsRecord:
        return cast("InstanceDetailsRecord", self._call("instance_details", hypervisor, instance))

    def disks(self, hypervisor: str, instance: str) -> tuple[DiskRecord, ...]:
        return tuple(self._call("instance_disks", hypervisor, instance).items)

    def metrics(self, hypervisor: str, instance: str) -> MetricsRecord:
        return cast("MetricsRecord", self._call("instance_metrics", hypervisor, instance))

    def create(self, hypervisor: str, new: NewInstanceRecord) -> InstanceRecord:
        path = {"hypervisor": hypervisor}
        return cast("InstanceRecord", self._connection.call("create_instance", path, body=new))

    def delete(self, hypervisor: str, instance: str, **query: Any) -> None:
        self._call("delete_instance", hypervisor, instance, query=query)

    def start(self, hypervisor: str, instance: str) -> InstanceRecord:
        return cast("InstanceRecord", self._call("start_instance", hypervisor, instance, body={}))

    def stop(self, hypervisor: str, instance: str, **order: Any) -> InstanceRecord:
        """``order``: fields of `StopOrder`."""
        return cast("InstanceRecord", self._call("stop_instance", hypervisor, instance, body=order))

    def restart(self, hypervisor: str, instance: str, **order: Any) -> InstanceRecord:
        """``order``: fields of `StopOrder`."""
        return cast(
            "InstanceRecord", self._call("restart_instance", hypervisor, instance, body=order)
        )

    def pause(self, hypervisor: str, instance: str) -> InstanceRecord:
        return cast("InstanceRecord", self._call("pause_instance", hypervisor, instance))

    def resume(self, hypervisor: str, instance: str) -> InstanceRecord:
        return cast("InstanceRecord", self._call("resume_instance", hypervisor, instance))

    def reset(self, hypervisor: str, instance: str) -> InstanceRecord:
        return cast("InstanceRecord", self._call("reset_instance", hypervisor, instance))

    def snapshots(self, hypervisor: str, instance: str) -> tuple[SnapshotRecord, ...]:
        return tuple(self._call("list_snapshots", hypervisor, instance).items)

    def snapshot(self, hypervisor: str, instance: str, order: SnapshotOrder) -> SnapshotRecord:
        return cast(
            "SnapshotRecord", self._call("create_snapshot", hypervisor, instance, body=order)
        )

    def revert(self, hypervisor: str, instance: str, snapshot: str) -> InstanceRecord:
        path = {"hypervisor": hypervisor, "instance": instance, "snapshot": snapshot}
        return cast("InstanceRecord", self._connection.call("revert_snapshot", path))

    def delete_snapshot(self, hypervisor: str, instance: str, snapshot: str, **query: Any) -> None:
        path = {"hypervisor": hypervisor, "instance": instance, "snapshot": snapshot}
        self._connection.call("delete_snapshot", path, query=query)

    def console(self, hypervisor: str, instance: str) -> ConsoleRecord:
        return cast("ConsoleRecord", self._call("instance_console", hypervisor, instance))

    def screenshot(self, hypervisor: str, instance: str) -> bytes:
        """PNG."""
        return cast("bytes", self._call("instance_screenshot", hypervisor, instance))

    def _call(self, name: str, hypervisor: str, instance: str, **more: Any) -> Any:
        path = {"hypervisor": hypervisor, "instance": instance}
        return self._connection.call(name, path, **more)


class Repositories:
    """``client.repositories``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[KnownRepository]:
        return pages(self._connection, "list_repositories")

    def get(self, name: str) -> KnownRepository:
        return cast("KnownRepository", self._connection.call("get_repository", {"name": name}))

    def create(self, new: NewRepository) -> KnownRepository:
        return cast("KnownRepository", self._connection.call("create_repository", body=new))

    def replace(
        self, name: str, change: RepositoryChange, *, revision: int | None = None
    ) -> KnownRepository:
        return cast(
            "KnownRepository",
            self._connection.call(
                "replace_repository", {"name": name}, body=change, headers=_match(revision)
            ),
        )

    def delete(self, name: str) -> None:
        """The daemon does not know it any more; what is stored stays."""
        self._connection.call("delete_repository", {"name": name})

    def statistics(self, name: str) -> StatisticsRecord:
        return cast(
            "StatisticsRecord", self._connection.call("repository_statistics", {"name": name})
        )

    def points(self, name: str, **filters: Any) -> Iterator[PointRecord]:
        return pages(self._connection, "list_points", filters, {"name": name})

    def point(self, name: str, point: str) -> PointRecord:
        path = {"name": name, "point": point}
        return cast("PointRecord", self._connection.call("get_point", path))

    def delete_point(self, name: str, point: str) -> None:
        self._connection.call("delete_point", {"name": name, "point": point})

    def verify(self, name: str, order: VerifyOrder) -> SubmittedRecord:
        return cast(
            "SubmittedRecord",
            self._connection.call("verify_repository", {"name": name}, body=order),
        )

    def prune(self, name: str, order: PruneOrder) -> SubmittedRecord:
        return cast(
            "SubmittedRecord",
            self._connection.call("prune_repository", {"name": name}, body=order),
        )

    def gc(self, name: str) -> SubmittedRecord:
        return cast("SubmittedRecord", self._connection.call("gc_repository", {"name": name}))


class Webhooks:
    """``client.webhooks``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[WebhookRecord]:
        return pages(self._connection, "list_webhooks")

    def create(self, new: NewWebhook) -> NewWebhookRecord:
        """Its secret is in this answer, and never again."""
        return cast("NewWebhookRecord", self._connection.call("create_webhook", body=new))

    def get(self, id: str) -> WebhookRecord:
        return cast("WebhookRecord", self._connection.call("get_webhook", {"id": id}))

    def replace(
        self, id: str, change: WebhookChange, *, revision: int | None = None
    ) -> WebhookRecord:
        return cast(
            "WebhookRecord",
            self._connection.call(
                "replace_webhook", {"id": id}, body=change, headers=_match(revision)
            ),
        )

    def delete(self, id: str) -> None:
        self._connection.call("delete_webhook", {"id": id})

    def test(self, id: str) -> DeliveryRecord:
        return cast("DeliveryRecord", self._connection.call("test_webhook", {"id": id}))

    def deliveries(self, id: str, **filters: Any) -> Iterator[DeliveryRecord]:
        return pages(self._connection, "list_deliveries", filters, {"id": id})

    def redeliver(self, id: str, delivery: str) -> DeliveryRecord:
        path = {"id": id, "delivery": delivery}
        return cast("DeliveryRecord", self._connection.call("redeliver", path))


class Events:
    """``client.events``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def past(self, **filters: Any) -> Iterator[EventRecord]:
        return pages(self._connection, "list_events", filters)

    def follow(
        self, *, types: Sequence[str] = (), after: int | None = None
    ) -> Iterator[EventRecord]:
        """Each as it happens, until the daemon ends the stream: after an hour, and with itself.

        ``types``: names or groups (``job.*``); none: all. ``after``: number of the last one that
        is known; those since then come first. An event ``gap`` says that some were missed: its
        data has ``lost``, their number, or null. Raises DaemonUnreachable when the connection
        breaks.
        """
        from hypersdk.contract.estate import EventRecord  # noqa: PLC0415 - slow to import

        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        query = {"types": list(types)}
        with self._connection.stream("stream_events", query=query, headers=headers) as answer:
            for said in _messages(answer.iter_lines()):
                yield EventRecord.model_validate(said if "time" in said else _gap(said))


def _gap(said: Mapping[str, Any]) -> dict[str, Any]:
    lost = {"lost": said.get("lost")}
    return {"time": datetime.now(UTC), "name": "gap", "subject": "", "data": lost}


def _messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Data of a stream of server-sent events (HTML standard, 9.2)."""
    data: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield json.loads("\n".join(data))
            data = []
