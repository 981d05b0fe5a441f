"""Backups as ``/libvirt/backup`` names them: restore points of a repository."""

from __future__ import annotations

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment
from hypersdk.contract.known.base import OPTIONAL


class NewBackupAsked(Asked):
    vm_name: str = Field(min_length=1)
    #: Empty: made of machine and time.
    backup_name: str = Field(default="", max_length=200)
    #: Accepted and not looked at: repositories always compress.
    compress: bool = True
    description: str = Field(default="", max_length=1000)


class BackupMade(Answer):
    """``running``: it goes on as the job ``job_id``, and the amounts are not known yet."""

    status: str
    message: str
    vm_name: str
    backup_name: str
    backup_path: str
    disks_backed_up: int
    #: Bytes stored by this backup.
    total_size: int
    compressed: bool
    job_id: str


class KnownBackup(Answer):
    name: str
    vm_name: str
    #: Repository and key of the restore point.
    path: str
    #: ``full`` or ``incremental``.
    type: str
    #: Bytes of its disks that it holds alone with nobody else: stored by it.
    size: int
    created_at: Moment
    compressed: bool
    #: It was committed; what is stored is checked by ``/libvirt/backup/verify``.
    verified: bool
    description: str


class BackupsAnswer(Answer):
    """Oldest first."""

    backups: list[KnownBackup]
    total: int
    storage_dir: str


class BackupAsked(Asked):
    backup_name: str = Field(min_length=1)


class RestoreAsked(BackupAsked):
    #: Empty: the machine itself; it is put back when it still exists.
    new_vm_name: str = ""
    start: bool = False


class BackupRestored(Answer):
    """``status``: ``success``, or ``running`` as the job ``job_id``."""

    status: str
    message: str
    backup_name: str
    vm_name: str
    started: bool
    job_id: str


class BackupVerified(Answer):
    """``valid`` is false also while ``status`` is ``running``."""

    status: str
    backup_name: str
    valid: bool
    disks_checked: int
    errors: list[str]
    job_id: str | None = OPTIONAL


class BackupDeleted(Answer):
    status: str = "success"
    message: str
    backup_name: str
