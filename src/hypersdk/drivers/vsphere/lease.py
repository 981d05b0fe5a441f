"""Leases of exports and imports (``HttpNfcLease``): begun, kept alive, and always ended.

A lease locks the virtual machine and ends by itself when nobody speaks of it for some minutes. A
disk writer may well be silent for longer, so a thread of its own says that we are still there.
Whatever goes wrong, the lease is aborted: otherwise the virtual machine stays locked until it
expires. A record on this machine lets a later run abort what a killed one left.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.records import LeaseRecord
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InvalidState,
    NotFound,
    OperationTimeout,
)

_log = logging.getLogger(__name__)

#: Seconds to become ready: vSphere opens the disks on their host.
_READY_SECONDS = 300.0
#: Seconds between two signs of life at most; a lease expires after 300 by default.
_BEAT_SECONDS = 20.0
#: Signs of life within the time of a lease.
_BEATS = 6
#: Seconds a lease lives when it does not say.
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Device:
    """A file of a lease."""

    #: ``/vm-12/VirtualLsiLogicController0:0``; the same in manifests.
    key: str
    #: Of the import specification, for imports.
    import_key: str
    #: May have ``*`` for the host.
    url: str
    #: SHA-1 of the host's certificate, ``AB:CD:…``; empty where vSphere does not say.
    thumbprint: str
    disk: bool
    #: Name it would have as a file; empty for an attached ISO image, which is not exported.
    target: str


class Lease:
    """A lease that is ready, until `complete` or `abort`. Methods may be called by any thread."""

    def __init__(self, connection: Connection, lease: Any, instance: str, what: str) -> None:
        """Waits until it is ready. ``what``: the work, for messages: ``export``.

        Raises HypervisorError when vSphere gives it up; then nothing is left of it.
        """
        self._connection, self._lease, self._instance = connection, lease, instance
        self._what = what
        self._percent = 0
        self._over = threading.Event()
        self._ending = threading.Lock()
        self._lost: HyperSDKError | None = None
        self._record = LeaseRecord.begin(connection.url, moid(lease), instance)
        try:
            info = self._ready()
        except BaseException:
            self.abort()
            raise
        self.devices = tuple(_device(each) for each in info.deviceUrl or ())
        #: What an import makes, or an export reads.
        self.entity = info.entity
        self._timeout = info.leaseTimeout or _TIMEOUT_SECONDS
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._heart.start()

    def _ready(self) -> Any:
        states = vim.HttpNfcLease.State
        found = self._connection.wait(
            self._lease,
            ["state", "error", "info"],
            lambda now: now.get("state") in {states.ready, states.error, states.done},
            _READY_SECONDS,
        )
        if found.get("state") != states.ready:
            raise HypervisorError(
                f"'{self._instance}': vSphere does not begin the {self._what}: "
                f"{_reason(found.get('error'))}",
                hint="Look at the tasks of the virtual machine in the vSphere Client.",
            )
        return found["info"]

    @property
    def ended(self) -> bool:
        return self._over.is_set()

    def progress(self, share: float) -> None:
        """What part was done, 0 to 1; told with the next sign of life."""
        self._percent = max(self._percent, min(int(share * 100), 99))

    def check(self) -> None:
        """Raises the error by which it was lost."""
        if self._lost is not None:
            raise self._lost

    def why_lost(self) -> str:
        """Ask vSphere now whether it lives: a stream that breaks is often the first sign. Why it
        does not; empty when it does, or when vSphere does not answer."""
        if self._lost is None and not self._over.is_set():
            try:
                self._progress()
            except HyperSDKError as error:
                if not error.retryable:
                    self._lose(error)
        return self._lost.message if self._lost is not None else ""

    def use_digest(self, kind: str) -> bool:
        """Have the manifest carry digests of this kind (``sha256``); whether vSphere does so."""
        wanted = [vim.KeyValue(key=device.url, value=kind) for device in self.devices]
        try:
            set_kind = self._lease.HttpNfcLeaseSetManifestChecksumType
            self._call(lambda: set_kind(wanted), "choose the digest of")
        except HypervisorUnreachable:
            raise
        except HyperSDKError as error:  # before 6.7
            _log.debug("'%s': no %s in the manifest: %s", self._instance, kind, error.message)
            return False
        return True

    def manifest(self) -> Mapping[str, Any]:
        """Key of a device → ``vim.HttpNfcLease.ManifestEntry`` of what was transferred."""
        entries = self._call(self._lease.HttpNfcLeaseGetManifest, "get the manifest of")
        return {entry.key: entry for entry in entries or ()}

    def complete(self) -> None:
        """All was transferred. Raises when the lease does not exist any more."""
        self.check()
        with self._ending:
            if self._over.is_set():
                return
            self._call(self._lease.HttpNfcLeaseComplete, "complete")
            self._end()

    def abort(self) -> None:
        """Give it up. One that is gone is no error; nor is a host that does not answer, since the
        lease then expires by itself."""
        with self._ending:
            if self._over.is_set():
                return
            self._over.set()
            with CancelToken().scope():
                try:
                    self._call(self._lease.HttpNfcLeaseAbort, "abort")
                except (NotFound, InvalidState, OperationTimeout):
                    _log.debug("'%s': the lease was over already", self._instance)
                except HyperSDKError as error:
                    _log.warning("'%s': its lease expires by itself: %s", self._instance, error)
                    return  # the record stays
            self._end()

    def _end(self) -> None:
        self._over.set()
        self._record.end()

    def _call(self, function: Callable[[], Any], step: str) -> Any:
        doing = f"{step} the {self._what} lease of '{self._instance}'"
        return self._connection.call(function, doing)

    def _progress(self) -> None:
        self._call(lambda: self._lease.HttpNfcLeaseProgress(self._percent), "keep")

    def _beat(self) -> None:
        """Signs of life, which also keep the session. A host that does not answer is asked again
        until the lease must have expired."""
        pause = min(_BEAT_SECONDS, self._timeout / _BEATS)
        heard = time.monotonic()
        while not self._over.wait(pause):
            try:
                self._progress()
                heard = time.monotonic()
            except HyperSDKError as error:
                late = time.monotonic() - heard
                if error.retryable and late < self._timeout:
                    continue
                self._lose(error)
                return

    def _lose(self, error: HyperSDKError) -> None:
        if self._over.is_set():
            return
        why = error.message
        with suppress(HyperSDKError):
            why = _reason(self._connection.get(self._lease, "error").get("error")) or why
        self._lost = OperationTimeout(
            f"'{self._instance}': vSphere ended the lease of the {self._what}: {why}",
            hint="It was read or written in part only. Run it again.",
        )
        _log.warning("%s", self._lost.message)


def _device(url: Any) -> Device:
    return Device(
        key=url.key or "",
        import_key=url.importKey or "",
        url=url.url,
        thumbprint=url.sslThumbprint or "",
        disk=bool(url.disk),
        target=url.targetId or "",
    )


def _reason(fault: Any) -> str:
    """A fault in words; empty when there is none."""
    if fault is None:
        return ""
    text = getattr(fault, "msg", "") or getattr(fault, "localizedMessage", "") or ""
    return text.strip() or type(fault).__name__.rpartition(".")[2]
