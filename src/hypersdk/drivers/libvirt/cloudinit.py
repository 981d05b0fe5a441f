"""First-boot settings as an image that cloud-init finds by itself: the NoCloud data source.

An ISO 9660 volume labelled ``cidata`` with ``meta-data``, ``user-data`` and, where it is given,
``network-config`` (https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html). The
names need Rock Ridge or Joliet: plain ISO 9660 has no small letters.

Documents that we write ourselves are JSON, which is YAML, so no value needs quoting by hand.
"""

from __future__ import annotations

import io
import json

import pycdlib

from hypersdk.model.specs import CloudInit

LABEL = "cidata"
_META, _USER, _NETWORK = "meta-data", "user-data", "network-config"


def seed_image(settings: CloudInit, name: str, instance_id: str) -> bytes:
    """The image for the instance ``name``. cloud-init runs once for each ``instance_id``."""
    meta = {"instance-id": instance_id, "local-hostname": settings.hostname or name}
    files = {_META: json.dumps(meta), _USER: settings.user_data or _user_data(settings)}
    if settings.network_config:
        files[_NETWORK] = settings.network_config
    return _written({file: text.encode() for file, text in files.items()})


def reissued(image: bytes, instance_id: str, names: tuple[str, str]) -> bytes:
    """A seed for a clone: cloud-init takes it for a machine that has never booted.

    ``names``: of the original and of the clone, which becomes its host name if the original's was
    the host name before.
    """
    files = _read(image)
    meta = json.loads(files[_META])
    meta["instance-id"] = instance_id
    if meta.get("local-hostname") == names[0]:
        meta["local-hostname"] = names[1]
    return _written({**files, _META: json.dumps(meta).encode()})


def _user_data(settings: CloudInit) -> str:
    document: dict[str, object] = {}
    if settings.user:
        document["users"] = [
            {
                "name": settings.user,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "ssh_authorized_keys": list(settings.ssh_keys),
            }
        ]
    elif settings.ssh_keys:  # of the user that the image brings
        document["ssh_authorized_keys"] = list(settings.ssh_keys)
    return f"#cloud-config\n{json.dumps(document, indent=2)}\n"


def _written(files: dict[str, bytes]) -> bytes:
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for name, content in files.items():
        plain = name.upper().replace("-", "_")
        image.add_fp(
            io.BytesIO(content), len(content), f"/{plain}.;1", rr_name=name, joliet_path=f"/{name}"
        )
    result = io.BytesIO()
    image.write_fp(result)
    image.close()
    return result.getvalue()


def _read(image: bytes) -> dict[str, bytes]:
    seed = pycdlib.PyCdlib()
    seed.open_fp(io.BytesIO(image))
    files = {}
    for child in seed.list_children(joliet_path="/"):
        if child.is_file():
            name = child.file_identifier().decode("utf-16-be").partition(";")[0]
            content = io.BytesIO()
            seed.get_file_from_iso_fp(content, joliet_path=f"/{name}")
            files[name] = content.getvalue()
    seed.close()
    return files
