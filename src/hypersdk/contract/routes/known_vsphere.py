"""vSphere as it was known before ``/v1``.

All take ``?hypervisor=NAME``; without it, the vCenter that the daemon has by default.
"""

from __future__ import annotations

from typing import Any

from hypersdk.contract.known import vsphere
from hypersdk.contract.known.base import Told
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role


def _look(name: str, path: str, summary: str, answer: Any) -> Route:
    return Route(
        name=f"known_vsphere_{name}",
        method="GET",
        path=f"/vsphere/{path}",
        role=Role.VIEWER,
        scope="hypervisors",
        summary=summary,
        answer=answer,
        versioned=False,
    )


def _do(
    name: str,
    path: str,
    action: str,
    summary: str,
    body: Any,
    answer: Any,
    *,
    method: str = "POST",
) -> Route:
    return Route(
        name=f"known_vsphere_{name}",
        method=method,
        path=f"/vsphere/{path}",
        role=Role.ADMIN if action.startswith("pool") else Role.OPERATOR,
        scope="hypervisors" if action.startswith("pool") else "instances",
        summary=summary,
        body=body,
        answer=answer,
        action=action,
        versioned=False,
    )


def _stream(name: str, summary: str) -> Route:
    return Route(
        name=f"known_vsphere_{name}_stream",
        method="WEBSOCKET",
        path=f"/vsphere/{name}/stream",
        role=Role.VIEWER,
        scope="hypervisors",
        summary=summary,
        versioned=False,
    )


ROUTES: tuple[Route, ...] = (
    _look("hosts", "hosts", "Hosts, ?pattern=", vsphere.HostsAnswer),
    _look("clusters", "clusters", "Clusters, ?pattern=", vsphere.ClustersAnswer),
    _look("datacenters", "datacenters", "Datacenters", vsphere.DatacentersAnswer),
    _look("vcenter", "vcenter/info", "The vCenter itself", vsphere.VcenterAnswer),
    _look(
        "metrics",
        "metrics",
        "What a machine, host or cluster uses or used",
        vsphere.MetricsAnswer,
    ),
    _look("pools", "pools", "Resource pools, ?pattern=", vsphere.ResourcePoolsAnswer),
    _do(
        "create_pool",
        "pools",
        "pool.create",
        "Make a resource pool",
        vsphere.NewPoolAsked,
        Told,
    ),
    _do(
        "update_pool",
        "pools/{name:path}",
        "pool.update",
        "Change a resource pool",
        vsphere.ChangePoolAsked,
        Told,
        method="PUT",
    ),
    _do(
        "delete_pool",
        "pools/{name:path}",
        "pool.delete",
        "Delete a resource pool; what is in it goes to the one above",
        None,
        Told,
        method="DELETE",
    ),
    _look("events", "events", "What happened, ?since=&types=", vsphere.EventsAnswer),
    _look("tasks", "tasks", "What vSphere does and did, ?since=", vsphere.TasksAnswer),
    _do(
        "clone",
        "clone",
        "instance.clone",
        "Clone a machine",
        vsphere.CloneSpecAsked,
        vsphere.CloneAnswer,
    ),
    _do(
        "clone_bulk",
        "clone/bulk",
        "instance.clone",
        "Clone several machines",
        vsphere.BulkCloneAsked,
        vsphere.BulkCloneAnswer,
    ),
    _do(
        "create_template",
        "template/create",
        "template.create",
        "Make a stopped machine a template",
        vsphere.TemplateAsked,
        vsphere.TemplateAnswer,
    ),
    _do(
        "deploy_template",
        "template/deploy",
        "template.deploy",
        "Make a machine of a template",
        vsphere.CloneSpecAsked,
        vsphere.CloneAnswer,
    ),
    _stream("metrics", "What a machine, host or cluster uses, again and again"),
    _stream("events", "What happens, as it happens"),
    _stream("tasks", "What vSphere does, as it does it"),
)
