"""Small files on datastores: read, found, removed. Disks are not read here."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hypersdk.drivers.vsphere import finding
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import NATIVE, translated
from hypersdk.model.errors import HypervisorDenied, HypervisorError, InvalidInput, NotFound


def read(connection: Connection, near: Any, path: str, most: int) -> bytes:
    """The content of ``[datastore] folder/file``. ``near``: something in the same datacenter.

    Raises NotFound, HypervisorDenied, HypervisorError when it is larger than ``most`` bytes.
    """
    store, file = split(path)
    _, datacenter = finding.datacenter_of(connection, near)
    fields = f"dcPath={quote(datacenter, safe='')}&dsName={quote(store, safe='')}"
    target = f"/folder/{quote(file)}?{fields}"
    url = f"https://*{target}"
    http = connection.http(url)
    try:
        http.request("GET", target, headers=dict(connection.headers(url)))
        answer = http.getresponse()
        content = answer.read(most + 1)
    except NATIVE as error:
        raise translated(error, f"read {path}") from error
    finally:
        http.close()
    if answer.status != 200:
        kinds = {404: NotFound, 401: HypervisorDenied, 403: HypervisorDenied}
        raise kinds.get(answer.status, HypervisorError)(
            f"cannot read {path}: {answer.status} {answer.reason}",
            hint="See that the file is there, and the privilege Datastore.Browse.",
        )
    if len(content) > most:
        raise HypervisorError(
            f"{path} is larger than {most} bytes", hint="It is not what it seems."
        )
    return content


def delete(connection: Connection, near: Any, path: str) -> None:
    """``near``: something in the same datacenter. Raises NotFound."""
    datacenter, _ = finding.datacenter_of(connection, near)
    files = connection.content.fileManager
    connection.task(lambda: files.DeleteDatastoreFile_Task(path, datacenter), f"delete {path}")


def split(path: str) -> tuple[str, str]:
    """Datastore and file of ``[datastore] folder/file``. Raises InvalidInput."""
    if not path.startswith("[") or "]" not in path:
        raise InvalidInput(f"'{path}' is no path on a datastore", hint="[DATASTORE] FOLDER/FILE")
    store, _, file = path[1:].partition("]")
    return store, file.strip()
