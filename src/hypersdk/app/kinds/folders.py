"""Where jobs may read and write on the worker's host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from hypersdk.datapath.nbd import is_nbd_uri
from hypersdk.model.errors import InvalidInput, NotAllowed


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of the setting ``folders``. None: jobs of no tenant may work everywhere, as for
    one user on a laptop, and those of tenants nowhere.

    Jobs of a tenant have only the folder of its name in each of them.
    """

    allowed: tuple[Path, ...] = ()

    def check(self, path: str, field: str, *, tenant: str = "") -> Path:
        """The path with all links resolved. Raises InvalidInput, NotAllowed."""
        if not os.path.isabs(path):
            raise InvalidInput(
                f"request.{field}: '{path}' is no absolute path",
                hint="Workers run elsewhere: write the path from the root, /…",
            )
        real = Path(os.path.realpath(path))
        roots = [Path(os.path.realpath(root)) / tenant for root in self.allowed]
        if any(real.is_relative_to(root) for root in roots) or not (roots or tenant):
            return real
        named = ", ".join(str(root) for root in roots)
        leads = f", which leads to {real}," if real != Path(os.path.normpath(path)) else ""
        raise NotAllowed(
            f"request.{field}: {path}{leads} is outside of the folders of jobs",
            hint=f"Use a path in {named}, or have it added to the setting 'folders'."
            if named
            else "Tenants need folders: an administrator names them in the setting 'folders'.",
        )

    def check_image(self, image: str, field: str, *, tenant: str = "") -> str:
        """A path, or the URL of an NBD export, which no tenant may use."""
        if not is_nbd_uri(image):
            return str(self.check(image, field, tenant=tenant))
        if tenant:
            raise NotAllowed(
                f"request.{field}: jobs of a tenant read files, not NBD exports",
                hint="Name a path.",
            )
        for socket in parse_qs(urlsplit(image).query).get("socket", []):
            self.check(socket, field)
        return image

    def check_upload(self, url: str, *, tenant: str = "") -> None:
        """A place by its URL: a folder is one of the folders, and tenants have no other, since
        what opens those are the daemon's own credentials."""
        parts = urlsplit(url)
        if parts.scheme == "file":
            self.check(unquote(parts.path), "upload", tenant=tenant)
        elif tenant:
            raise NotAllowed(
                "request.upload: jobs of a tenant have no credentials for other places",
                hint="Upload to file:///FOLDER, or fetch the files from the output folder.",
            )
        for key in parse_qs(parts.query).get("key", []):
            self.check(key, "upload")
