"""libvirt as it was known before ``/v1``.

All take ``?hypervisor=NAME``; without it, the libvirt connection that the daemon has by default.
"""

from __future__ import annotations

from typing import Any

from hypersdk.contract.known import backups, domains, resources, watching
from hypersdk.contract.known.base import Done
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

#: Bytes of an uploaded image, and of the form around it.
_UPLOAD_MOST = (10 << 30) + (1 << 20)


def _look(name: str, path: str, summary: str, answer: Any, scope: str = "instances") -> Route:
    return Route(
        name=f"known_{name}",
        method="GET",
        path=path,
        role=Role.VIEWER,
        scope=scope,
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
    answer: Any = Done,
    *,
    status: int = 200,
    scope: str = "instances",
) -> Route:
    return Route(
        name=f"known_{name}",
        method="POST",
        path=path,
        role=Role.OPERATOR,
        scope=scope,
        summary=summary,
        body=body,
        answer=answer,
        status=status,
        action=action,
        versioned=False,
    )


def _watch(name: str, path: str, summary: str) -> Route:
    return Route(
        name=f"known_{name}",
        method="WEBSOCKET",
        path=path,
        role=Role.OPERATOR,
        scope="instances",
        summary=summary,
        versioned=False,
    )


_DOMAINS = (
    _look("list_domains", "/libvirt/domains", "All domains", domains.DomainsAnswer),
    _look("get_domain", "/libvirt/domain", "One domain, ?name=", domains.Domain),
    _do(
        "start_domain",
        "/libvirt/domain/start",
        "instance.start",
        "Start a domain",
        domains.DomainAsked,
    ),
    _do(
        "shutdown_domain",
        "/libvirt/domain/shutdown",
        "instance.stop",
        "Ask its guest to shut down; does not wait longer than it takes to ask",
        domains.DomainAsked,
    ),
    _do(
        "destroy_domain",
        "/libvirt/domain/destroy",
        "instance.poweroff",
        "Cut its power",
        domains.DomainAsked,
    ),
    _do(
        "reboot_domain",
        "/libvirt/domain/reboot",
        "instance.reset",
        "Reset it",
        domains.DomainAsked,
    ),
    _do(
        "pause_domain",
        "/libvirt/domain/pause",
        "instance.pause",
        "Halt its processors",
        domains.DomainAsked,
    ),
    _do(
        "resume_domain",
        "/libvirt/domain/resume",
        "instance.resume",
        "Let them run on",
        domains.DomainAsked,
    ),
    _do(
        "send_keys",
        "/libvirt/domain/send-key",
        "instance.keys",
        "Press keys",
        watching.SendKeysAsked,
    ),
)
_SNAPSHOTS = (
    _look(
        "list_domain_snapshots",
        "/libvirt/snapshots",
        "Snapshots of a domain, ?name=",
        domains.DomainSnapshotsAnswer,
    ),
    _do(
        "create_domain_snapshot",
        "/libvirt/snapshot/create",
        "snapshot.create",
        "Take a snapshot, with the memory of a running domain",
        domains.NewSnapshotAsked,
        status=201,
    ),
    _do(
        "revert_domain_snapshot",
        "/libvirt/snapshot/revert",
        "snapshot.revert",
        "Go back to a snapshot",
        domains.SnapshotAsked,
    ),
    _do(
        "delete_domain_snapshot",
        "/libvirt/snapshot/delete",
        "snapshot.delete",
        "Forget a snapshot",
        domains.SnapshotAsked,
    ),
)
_NETWORKS = (
    _look("list_networks", "/libvirt/networks", "All networks", resources.NetworksAnswer),
    _look("get_network", "/libvirt/network", "One network, ?name=", resources.KnownNetwork),
    _do(
        "create_network",
        "/libvirt/network/create",
        "network.create",
        "Define and start a network",
        resources.NewNetworkAsked,
        resources.NetworkDone,
        status=201,
    ),
    _do(
        "delete_network",
        "/libvirt/network/delete",
        "network.delete",
        "Stop and forget a network",
        resources.NetworkAsked,
        resources.NetworkDone,
    ),
    _do(
        "start_network",
        "/libvirt/network/start",
        "network.start",
        "Start a network",
        resources.NetworkAsked,
        resources.NetworkDone,
    ),
    _do(
        "stop_network",
        "/libvirt/network/stop",
        "network.stop",
        "Stop a network",
        resources.NetworkAsked,
        resources.NetworkDone,
    ),
    _do(
        "attach_interface",
        "/libvirt/interface/attach",
        "instance.attach_nic",
        "Add a network card",
        resources.AttachNicAsked,
        resources.NicDone,
    ),
    _do(
        "detach_interface",
        "/libvirt/interface/detach",
        "instance.detach_nic",
        "Take a network card away",
        resources.DetachNicAsked,
        resources.NicDone,
    ),
)
_VOLUMES = (
    _look("list_pools", "/libvirt/pools", "All storage pools", resources.PoolsAnswer),
    _look(
        "list_volumes",
        "/libvirt/volumes",
        "Volumes of a pool, ?pool=default",
        resources.VolumesAnswer,
    ),
    _look(
        "volume_info",
        "/libvirt/volume/info",
        "One volume, ?pool=&volume=",
        resources.KnownVolume,
    ),
    _do(
        "create_volume",
        "/libvirt/volume/create",
        "volume.create",
        "Make a volume",
        resources.NewVolumeAsked,
        resources.VolumeMade,
        status=201,
    ),
    _do(
        "clone_volume",
        "/libvirt/volume/clone",
        "volume.clone",
        "Copy a volume, also to another pool",
        resources.CloneVolumeAsked,
        resources.VolumeCloned,
        status=201,
    ),
    _do(
        "resize_volume",
        "/libvirt/volume/resize",
        "volume.resize",
        "Make a volume larger, or with shrink smaller",
        resources.ResizeVolumeAsked,
        resources.VolumeResized,
    ),
    _do(
        "delete_volume",
        "/libvirt/volume/delete",
        "volume.delete",
        "Delete a volume that nothing uses",
        resources.VolumeAsked,
        resources.VolumeDone,
    ),
    _do(
        "upload_volume",
        "/libvirt/volume/upload",
        "volume.upload",
        "Make a volume of an image in the daemon's folder of imports",
        resources.UploadVolumeAsked,
        resources.VolumeUploaded,
        status=201,
    ),
    _do(
        "wipe_volume",
        "/libvirt/volume/wipe",
        "volume.wipe",
        "Overwrite a volume",
        resources.WipeVolumeAsked,
        resources.VolumeWiped,
    ),
)
_STATS = (
    _look("domain_stats", "/libvirt/stats", "What a domain uses, ?name=", watching.DomainStats),
    _look("all_stats", "/libvirt/stats/all", "What running domains use", watching.AllStats),
    _look("cpu_stats", "/libvirt/stats/cpu", "Its processors, ?name=", watching.CpuAnswer),
    _look("memory_stats", "/libvirt/stats/memory", "Its memory, ?name=", watching.MemoryAnswer),
    _look("disk_stats", "/libvirt/stats/disk", "Its disks, ?name=", watching.DisksAnswer),
    _look("network_stats", "/libvirt/stats/network", "Its NICs, ?name=", watching.NetsAnswer),
)


def _batch(name: str, summary: str, body: Any) -> Route:
    path = f"/libvirt/batch/{name}"
    return _do(f"batch_{name}", path, f"batch.{name}", summary, body, domains.BatchAnswer)


_BATCH = (
    _batch("start", "Start many", domains.BatchStart),
    _batch("stop", "Stop many", domains.BatchForce),
    _batch("reboot", "Restart many; force resets them", domains.BatchForce),
    _batch("pause", "Pause many", domains.BatchAsked),
    _batch("resume", "Resume many", domains.BatchAsked),
    _batch("snapshot", "Take a snapshot of each", domains.BatchSnapshot),
    _batch("delete", "Delete many, or all their snapshots", domains.BatchDelete),
)
_CLONES = (
    _do(
        "clone_domain",
        "/libvirt/clone",
        "instance.clone",
        "Copy a stopped domain",
        domains.CloneAsked,
        domains.CloneAnswer,
        status=201,
    ),
    _do(
        "clone_domains",
        "/libvirt/clone/multiple",
        "instance.clone",
        "Copy a stopped domain several times",
        domains.CloneManyAsked,
        domains.CloneManyAnswer,
    ),
    _do(
        "create_template",
        "/libvirt/template/create",
        "template.create",
        "Copy a stopped domain as a template",
        domains.TemplateAsked,
        domains.TemplateMade,
        status=201,
    ),
    _do(
        "deploy_template",
        "/libvirt/template/deploy",
        "template.deploy",
        "Make a domain of a template",
        domains.DeployAsked,
        domains.Deployed,
        status=201,
    ),
    _look("list_templates", "/libvirt/template/list", "Templates", domains.TemplatesAnswer),
    _do(
        "export_template",
        "/libvirt/template/export",
        "template.export",
        "Submit a job that exports a template",
        domains.TemplateExportAsked,
        domains.TemplateExported,
    ),
)
_ISOS = (
    _look("list_isos", "/libvirt/isos/list", "ISO images", resources.IsosAnswer),
    Route(
        name="known_upload_iso",
        method="POST",
        path="/libvirt/isos/upload",
        role=Role.OPERATOR,
        scope="instances",
        summary="Upload an ISO image: the part iso of a multipart form, up to 10 GiB",
        answer=resources.IsoUploaded,
        status=201,
        action="iso.upload",
        body_most=_UPLOAD_MOST,
        versioned=False,
    ),
    _do(
        "delete_iso",
        "/libvirt/isos/delete",
        "iso.delete",
        "Delete an ISO image",
        resources.IsoAsked,
        resources.IsoDone,
    ),
    _do(
        "attach_iso",
        "/libvirt/domain/attach-iso",
        "instance.insert",
        "Put an ISO image into a CD drive",
        resources.AttachIsoAsked,
        resources.IsoAttached,
    ),
    _do(
        "detach_iso",
        "/libvirt/domain/detach-iso",
        "instance.eject",
        "Take the medium out of a CD drive",
        resources.DetachIsoAsked,
        resources.IsoDetached,
    ),
)


def _backup(name: str, action: str, summary: str, body: Any, answer: Any, status: int) -> Route:
    path = f"/libvirt/backup/{name}"
    return _do(
        f"{name}_backup",
        path,
        action,
        summary,
        body,
        answer,
        status=status,
        scope="repositories",
    )


_BACKUPS = (
    _backup(
        "create",
        "backup.create",
        "Back up a machine to the daemon's repository, as a job",
        backups.NewBackupAsked,
        backups.BackupMade,
        201,
    ),
    _look(
        "list_backups",
        "/libvirt/backup/list",
        "Backups, ?vm_name=",
        backups.BackupsAnswer,
        "repositories",
    ),
    _backup(
        "restore",
        "backup.restore",
        "Bring a machine back, as a job",
        backups.RestoreAsked,
        backups.BackupRestored,
        200,
    ),
    _backup(
        "verify",
        "backup.verify",
        "Read a backup again and compare it, as a job",
        backups.BackupAsked,
        backups.BackupVerified,
        200,
    ),
    _backup(
        "delete",
        "backup.delete",
        "Forget a backup",
        backups.BackupAsked,
        backups.BackupDeleted,
        200,
    ),
)
_CONSOLE = (
    _look("domain_console", "/libvirt/console", "Where its screen is, ?name=",
          watching.ConsoleAnswer),
    _look("console_info", "/console/info", "Its screen and serial line, ?name=",
          watching.ConsoleInfo),
    _look("serial_device", "/console/serial-device", "Its serial line, ?name=",
          watching.SerialDevice),
    _watch("vnc", "/console/vnc", "Its screen, ?name=: the VNC protocol in binary messages"),
    _watch("serial", "/console/serial", "Its serial line, ?name=, both ways"),
    Route(
        name="known_screenshot",
        method="GET",
        path="/console/screenshot",
        role=Role.VIEWER,
        scope="instances",
        summary="A picture of its screen, ?name=",
        media="image/png",
        versioned=False,
    ),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (
    *_DOMAINS,
    *_SNAPSHOTS,
    *_NETWORKS,
    *_VOLUMES,
    *_STATS,
    *_BATCH,
    *_CLONES,
    *_ISOS,
    *_BACKUPS,
    *_CONSOLE,
)
