"""What settings of the original daemon are called here, and what became of those that are gone."""

from __future__ import annotations

from collections.abc import Mapping

_VSPHERE = (
    "Name the hypervisor with its URL instead: "
    "hypervisors: {vcenter: 'vsphere://USER@HOST/DATACENTER?password-from=env:GOVC_PASSWORD'}; "
    "or set GOVC_URL, GOVC_USERNAME and GOVC_PASSWORD."
)
_PROGRESS = "Leave it out: how progress looks is for the commands to say, not for the daemon."
_RETRY = "Leave it out: calls are repeated by themselves; jobs say theirs in `retry`."
_CLOUD = "Leave it out: a place to upload to is part of a job, as s3://, azure:// or gs://."
_OTHER = "Leave it out: this hypervisor has no driver here; see docs/hypervisors.md."

#: Its key, without capitals, dashes and underscores → what to write here.
ORIGINAL: Mapping[str, str] = {
    "vcenterurl": _VSPHERE,
    "username": _VSPHERE,
    "password": _VSPHERE,
    "insecure": "Leave it out: name the certificate in the URL, ?fingerprint=….",
    "timeout": _RETRY,
    "downloadworkers": "Jobs at once are workers: {slots: N}; disks are `parallel` of a job.",
    "chunksize": "Leave it out: it is chosen for each disk.",
    "retryattempts": _RETRY,
    "retrydelay": _RETRY,
    "loglevel": "It is called log_level.",
    "progressstyle": _PROGRESS,
    "showeta": _PROGRESS,
    "refreshrate": _PROGRESS,
    "daemonaddr": "It is called listen.",
    "addr": "It is called listen.",
    "connectionpool": "Leave it out: a hypervisor is connected to once, and kept.",
    "databasepath": "It is called database, and is a URL: sqlite:////absolute/path.db.",
    "aws": _CLOUD,
    "azure": _CLOUD,
    "gcp": _CLOUD,
    "oci": _CLOUD,
    "alibabacloud": _CLOUD,
    "openstack": _CLOUD,
    "hyperv": _OTHER,
    "proxmox": _OTHER,
    "metrics": "Leave it out: /metrics is always there.",
    "web": "Leave it out: pages come with the API.",
    "security": "See auth, limits, allowed_origins and trusted_proxies.",
    "apikey": "Make a token: hypervisord tokens create USER.",
    "maxrequestsizemb": "It is called limits: {body: 10MiB}.",
    "ratelimitpermin": "It is called limits: {rate_per_token: N}, per second.",
    "enableauth": "Make an account instead: hypervisord users add NAME --role admin.",
    "blockprivateips": "It is called webhooks_allow_private, and is the opposite.",
    "retry": "Leave it out: a webhook is tried again for a day.",
}
#: Variables of the environment that the original reads → the settings that they become here.
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "DAEMON_ADDR": ("listen",),
    "LOG_LEVEL": ("log_level",),
    "HYPERSDK_ISO_DIR": ("folders", "isos"),
    "HYPERSDK_BACKUP_DIR": ("folders", "backups"),
}
#: Names the hypervisor that GOVC_URL leads to.
VSPHERE_NAME = "vsphere"
#: The URL that takes everything from GOVC_URL, GOVC_USERNAME, GOVC_DATACENTER.
VSPHERE_URL = "vsphere://"


def original_hint(key: str) -> str:
    """What to write instead of a key of the original; empty: it is none."""
    return ORIGINAL.get(key.lower().replace("_", "").replace("-", ""), "")
