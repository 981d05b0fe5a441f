"""Folders of the inventory, and files of datastores, by their paths."""

from __future__ import annotations

import re
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.translate import escaped
from hypersdk.model.errors import AlreadyExists, Conflict, InvalidInput, NotFound

_FILE = re.compile(r"\[(?P<datastore>[^\]]+)\] ?(?P<path>[^/\s].*)")
_HINT = "Write [datastore1] iso/debian.iso, as the vSphere Client shows paths."


class Folders:
    """Folders below one folder of machines; those that this object made can be removed again."""

    def __init__(self, connection: Connection, root: Any) -> None:
        self._connection = connection
        self._root = root
        self._made: list[Any] = []

    def ensure(self, path: str) -> Any:
        """The folder at ``prod/web``, made where it is missing. Raises InvalidInput."""
        folder = self._root
        for name in filter(None, path.split("/")):
            folder = self._child(folder, name) or self._make(folder, name)
        return folder

    def remove_made(self) -> None:
        """Remove what was made here and is still empty, the innermost first."""
        while self._made:
            folder = self._made.pop()
            if self._connection.get(folder, "childEntity").get("childEntity"):
                return
            self._connection.task(folder.Destroy_Task, "remove an empty folder")

    def _child(self, folder: Any, name: str) -> Any | None:
        index = self._connection.content.searchIndex
        found = self._connection.call(
            lambda: index.FindChild(folder, escaped(name)), f"look for the folder '{name}'"
        )
        if found is not None and not isinstance(found, vim.Folder):
            raise InvalidInput(
                f"'{name}' is not a folder in the inventory", hint="Choose another folder."
            )
        return found

    def _make(self, folder: Any, name: str) -> Any:
        """Somebody else may be making it at the same time."""
        try:
            made = self._connection.call(
                lambda: folder.CreateFolder(name), f"make the folder '{name}'", again=False
            )
        except AlreadyExists:
            found = self._child(folder, name)
            if found is None:
                raise
            return found
        self._made.append(made)
        return made


def datastore_file(path: str) -> tuple[str, str]:
    """Datastore and path of ``[datastore1] iso/debian.iso``. Raises InvalidInput."""
    found = _FILE.fullmatch(path)
    if found is None:
        raise InvalidInput(f"'{path}' is no file of a datastore", hint=_HINT)
    return found["datastore"], found["path"]


def file_size(connection: Connection, root: Any, path: str) -> int | None:
    """Bytes of a file of a datastore; None when it is not there.

    Raises InvalidInput for a malformed path, NotFound for a datastore that is not there.
    """
    name, inside = datastore_file(path)
    rows = connection.collect(vim.Datastore, ("name", "browser"), root)
    browser = {row["name"]: row["browser"] for _, row in rows}.get(name)
    if browser is None:
        raise NotFound(f"there is no datastore '{name}'", hint="See what there is: its name.")
    folder, _, file = inside.rpartition("/")
    details = vim.host.DatastoreBrowser.FileInfo.Details(
        fileSize=True, fileType=False, fileOwner=False, modification=False
    )
    spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=[file], details=details)
    place = f"[{name}] {folder}".rstrip()
    try:
        found = connection.task(
            lambda: browser.SearchDatastore_Task(datastorePath=place, searchSpec=spec),
            f"look for {path}",
        )
    except (NotFound, Conflict):
        return None
    sizes = {each.path: each.fileSize for each in found.file or ()}
    return None if file not in sizes else sizes[file] or 0
