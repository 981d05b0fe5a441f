"""Files of the daemon's own folders, named by those who may not name any others."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hypersdk.config.daemon.sections import FolderSettings
from hypersdk.model.accounts import Principal, Role
from hypersdk.model.errors import InvalidInput, NotAllowed, NotFound

#: Names of files that people upload.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,254}")


def own(folder: Path, tenant: str) -> Path:
    """A tenant has a folder of its name in each of the daemon's."""
    return folder / tenant if tenant else folder


def refuse_outside(settings: FolderSettings, who: Principal, path: Path, field: str) -> None:
    """Whether there is a file is told only to those whose jobs may read it: see
    `app.kinds.folders`. Raises InvalidInput, NotAllowed."""
    _refuse_nul(str(path), field)
    anywhere = not (settings.allowed or who.tenant) and who.role.covers(Role.OPERATOR)
    folders = (settings.exports, settings.imports, settings.backups, *settings.allowed)
    roots = [os.path.realpath(own(Path(each), who.tenant)) for each in folders]
    real = Path(os.path.realpath(path))
    if not (anywhere or any(real.is_relative_to(root) for root in roots)):
        raise NotAllowed(
            f"{field}: {path} is outside of the folders of jobs",
            hint=f"Use a file in {roots[0]}, or have its folder added to the setting 'folders'.",
        )


def inside(folder: Path, path: str, tenant: str, field: str) -> Path:
    """A file that is there; ``path`` from the root or from the folder, which no link may lead out
    of. Raises NotAllowed, NotFound."""
    root = Path(os.path.realpath(own(folder, tenant)))
    _refuse_nul(path, field)
    real = Path(os.path.realpath(root / path))
    if not real.is_relative_to(root) or real == root:
        raise NotAllowed(
            f"{field}: '{path}' is outside of {root}", hint=f"Put the file into {root} first."
        )
    if not real.is_file():
        raise NotFound(f"{field}: there is no file {real}", hint=f"See what is in {root}.")
    return real


def _refuse_nul(path: str, field: str) -> None:
    if "\0" in path:
        raise InvalidInput(f"{field}: a path has no NUL", hint="Leave it out.")


def file_name(name: str, ending: str) -> str:
    """A plain name of a file. Raises InvalidInput for a path, and for another ending."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidInput(
            f"{name[:80]!r} is no name of a file here",
            hint="Letters, digits, blanks and '._+()-', 255 at most, beginning with one of the "
            "first two.",
        )
    if not name.lower().endswith(ending):
        raise InvalidInput(f"'{name}' does not end in {ending}", hint=f"Name it …{ending}.")
    return name
