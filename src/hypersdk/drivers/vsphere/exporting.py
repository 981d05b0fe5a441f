"""The leases by which the disks of one view are streamed, and what has to be true at their end.

All disks share one lease, each with a connection of its own. A disk that is begun anew, since its
stream broke, gets a lease of its own: the manifest of the first one speaks of the broken try.

What came of a disk is compared with the manifest when its stream ends, so that a damaged one can be
read again, and a lease that is lost later takes nothing back. Not all of a stream is looked at when
it is unpacked (tables, padding, places of grains): then the digest is the only witness.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import concerning
from hypersdk.drivers.vsphere.lease import Device, Lease
from hypersdk.drivers.vsphere.nfc import SILENCE_SECONDS, Download, NfcSource, Received
from hypersdk.drivers.vsphere.sourcedisks import SourceDisk
from hypersdk.model.errors import (
    DataPathError,
    EndpointTimeout,
    HyperSDKError,
    HypervisorBusy,
    HypervisorError,
    HypervisorUnreachable,
    InvalidState,
    NotFound,
    OperationTimeout,
)

_log = logging.getLogger(__name__)

#: Tries to begin a stream, and seconds before the second; doubled each time.
_TRIES = 3
_PAUSE_SECONDS = 1.0
#: Bytes of UEFI variables at most; VMware's files have 8 to 270 KiB.
_MOST_NVRAM = 16 << 20


class _Held:
    """A lease with what was read by it."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.digest = "sha256" if lease.use_digest("sha256") else "sha1"
        #: Names of disks that were begun, and of those that came wholly.
        self.begun: set[str] = set()
        self.ended: set[str] = set()


@dataclass(slots=True)
class _Whole:
    """What came of a disk to the end of its stream, last."""

    held: _Held
    received: Received
    #: vSphere's manifest says the same.
    vouched: bool = False


class Exporting:
    """Streams of the disks of one virtual machine. May be used by any number of threads."""

    def __init__(
        self,
        connection: Connection,
        begin: Callable[[], Any],
        instance: str,
        disks: Sequence[SourceDisk],
        *,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """``begin``: the native call that gives a lease, of the machine or of a snapshot."""
        self._connection, self._begin, self._instance = connection, begin, instance
        self._disks = {disk.disk.name: disk for disk in disks}
        self._silence = silence
        self._lock = threading.Lock()
        self._held: list[_Held] = []
        #: Name of a disk → its bytes that are behind us.
        self._behind: dict[str, int] = {}
        #: Name of a disk → its last whole stream. One before it may have been damaged: whoever
        #: walks a stream is ahead of those who unpack it, and comes to its end all the same.
        self._whole: dict[str, _Whole] = {}
        self.warnings: list[str] = []

    def open(self, name: str) -> NfcSource:
        """Begin to stream a disk. A stream that breaks before it gave anything is begun again.

        Raises HypervisorError, EndpointTimeout, ImageRefused.
        """
        pause = _PAUSE_SECONDS
        for attempt in range(1, _TRIES + 1):
            try:
                with concerning(f"disk {name} of '{self._instance}'"):
                    return self._opened(name)
            except (HypervisorUnreachable, DataPathError) as error:
                if attempt == _TRIES or not error.retryable:
                    raise
                _log.warning("%s Begun again (%d of %d).", error.message, attempt + 1, _TRIES)
            token_in_force().wait(pause)
            pause *= 2
        raise AssertionError("not reached")

    def _opened(self, name: str) -> NfcSource:
        disk = self._disks[name]
        held = self._lease_for(name)
        title = f"disk {name} of '{self._instance}'"
        device = self._device(held.lease, disk)
        download = Download(
            self._connection, held.lease, device, title, digest=held.digest, silence=self._silence
        )

        def done(received: Received) -> None:
            held.ended.add(name)
            self._whole[name] = _Whole(held, received)
            self._vouch(name)

        def progress(behind: int) -> None:
            self._behind[name] = behind
            total = sum(each.disk.size for each in self._disks.values())
            held.lease.progress(sum(self._behind.values()) / total if total else 1.0)

        return NfcSource(download, disk.disk.size, done=done, progress=progress)

    def _lease_for(self, name: str) -> _Held:
        """The one of all disks, or another for one that is begun again."""
        with self._lock:
            usable = [held for held in self._held if self._is_usable(held)]
            fresh = next((held for held in usable if name not in held.begun), None)
            if fresh is None:
                fresh = self._another(usable)
            fresh.begun.add(name)
            return fresh

    def _another(self, usable: Sequence[_Held]) -> _Held:
        try:
            native = self._connection.call(self._begin, f"export '{self._instance}'", again=True)
            held = _Held(Lease(self._connection, native, self._instance, "export"))
        except (InvalidState, HypervisorBusy):
            if not usable:
                raise
            return usable[0]  # vSphere gives one at a time: the same URL once more
        self._held.append(held)
        return held

    @staticmethod
    def _is_usable(held: _Held) -> bool:
        with suppress(HyperSDKError):
            held.lease.check()
            return not held.lease.ended
        return False

    def _device(self, lease: Lease, disk: SourceDisk) -> Device:
        """By its place; where leases call it otherwise, by its turn among as many disks."""
        found = [each for each in lease.devices if each.disk]
        for each in found:
            if each.key.rpartition("/")[2] == disk.place:
                return each
        names = list(self._disks)
        if len(found) == len(names):
            return found[names.index(disk.disk.name)]
        raise HypervisorError(
            f"disk {disk.disk.name} of '{self._instance}' is not in the export lease, which has "
            f"{', '.join(each.key for each in found) or 'none'}",
            hint=f"Leave it out: --exclude {disk.disk.name}",
        )

    def nvram(self) -> bytes | None:
        """The UEFI variables, where the lease has them."""
        with self._lock:
            held = next((held for held in self._held if self._is_usable(held)), None)
            held = held or self._another(())
        device = next((each for each in held.lease.devices if is_nvram(each)), None)
        if device is None:
            return None
        title = f"the NVRAM of '{self._instance}'"
        download = Download(
            self._connection, held.lease, device, title, digest=held.digest, silence=self._silence
        )
        try:
            return download.read_all(_MOST_NVRAM)
        finally:
            download.close()

    def confirm(self) -> None:
        """All disks were read: compare with the manifests what was not yet, complete the leases.

        Raises OperationTimeout when a lease was lost before its manifest came, DataPathError for
        other bytes than vSphere sent.
        """
        for name, whole in self._whole.items():
            if not whole.vouched:
                self._compare(name, whole, self._last_manifest(name, whole.held))
        for held in self._held:
            if not held.ended or held.begun - held.ended:
                held.lease.abort()  # what it brought wholly is right; the rest came by another
            else:
                self._complete(held)

    def _complete(self, held: _Held) -> None:
        try:
            held.lease.complete()
        except (NotFound, InvalidState, OperationTimeout) as error:
            # Nothing was left to come by it.
            _log.info("'%s': its lease had ended already: %s", self._instance, error.message)
            held.lease.abort()

    def _vouch(self, name: str) -> None:
        """Compare at the end of a stream, where vSphere knows its digest by then.

        Raises DataPathError, EndpointTimeout for a lease that was lost meanwhile: by another one
        the disk can be read again.
        """
        whole = self._whole[name]
        try:
            manifest = whole.held.lease.manifest()
        except (HypervisorError, InvalidState, NotFound) as error:
            if why := whole.held.lease.why_lost():
                raise EndpointTimeout(
                    f"disk {name} of '{self._instance}' came, but not what to compare it with: "
                    f"{why}",
                    hint="It is fetched again from the start.",
                ) from error
            _log.info("'%s': no manifest of %s yet: %s", self._instance, name, error.message)
            return
        entry = manifest.get(whole.received.key)
        if entry is not None and entry.size == whole.received.size:
            self._compare(name, whole, manifest)

    def _last_manifest(self, name: str, held: _Held) -> Mapping[str, Any]:
        what = f"disk {name} of '{self._instance}' cannot be compared with what vSphere sent"
        if why := held.lease.why_lost():
            raise OperationTimeout(f"{what}: {why}", hint="Run it again.")
        try:
            return held.lease.manifest()
        except HypervisorError as error:
            raise type(error)(f"{what}: {error.message}", hint=error.hint) from error

    def _compare(self, name: str, whole: _Whole, manifest: Mapping[str, Any]) -> None:
        received, digest = whole.received, whole.held.digest
        entry = manifest.get(received.key)
        told = told_digest(entry, digest) if entry is not None else ""
        if not told:
            self.warnings.append(f"{name}: vSphere gave no {digest} to compare it with")
        elif told != received.digest:
            raise DataPathError(
                f"disk {name} of '{self._instance}' did not come as it was sent: of "
                f"{received.size} bytes the {digest} is {received.digest}, "
                f"vSphere's manifest says {told}",
                hint="It was damaged on its way: read it again, and look at the network.",
            )
        whole.vouched = True

    def close(self) -> None:
        """Give up the leases that were not completed."""
        for held in self._held:
            held.lease.abort()


def told_digest(entry: Any, digest: str) -> str:
    """The digest of this kind in an entry of a manifest; empty when there is none."""
    kind = str(entry.checksumType or "").lower().replace("-", "")
    if entry.checksum and kind == digest:
        return str(entry.checksum).lower()
    return str(entry.sha1 or "").lower() if digest == "sha1" else ""


def is_nvram(device: Device) -> bool:
    """The UEFI variables, by how leases call them."""
    words = f"{device.key} {device.target} {device.url}".lower()
    return not device.disk and "nvram" in words
