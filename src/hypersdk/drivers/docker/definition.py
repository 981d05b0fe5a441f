"""What a restore point keeps of a container besides its archives: kind ``docker-json``.

It may hold secrets, in environment variables above all; definitions are sealed in repositories.
"""

from __future__ import annotations

import json

from hypersdk.drivers.docker.connection import Json
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Definition

KIND = "docker-json"
_FORMAT = 1
#: Of what ``inspect`` gives: what it takes to make the container anew.
_KEPT = ("Id", "Name", "Image", "Config", "HostConfig", "Mounts")


def definition(found: Json) -> Definition:
    """``found``: as ``inspect`` describes a container."""
    content: Json = {"format": _FORMAT, **{key: found[key] for key in _KEPT}}
    content["NetworkSettings"] = {"Networks": found["NetworkSettings"]["Networks"]}
    content["State"] = {"Status": found["State"]["Status"]}
    return Definition(KIND, json.dumps(content, sort_keys=True).encode())


def saved(given: Definition) -> Json:
    """The description again. Raises InvalidInput."""
    if given.kind != KIND:
        raise InvalidInput(
            f"a definition of kind '{given.kind}' is not one of a Docker container",
            hint="Restore its disks to files, or to a hypervisor of the kind it came from.",
        )
    try:
        content = json.loads(given.content)
        known = content["format"] == _FORMAT and all(key in content for key in _KEPT)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"the definition cannot be read: {error}") from error
    if not known:
        raise InvalidInput(
            "the definition was written by a later version", hint="Upgrade hypersdk."
        )
    return dict(content)
