"""Where things lie in a repository, and how instance names become folders.

::

    <instance>/<time>-<ulid>.rp          restore points, one per backup of an instance
    .hypersdk/config                     what the repository is
    .hypersdk/keys/<ulid>                key slots
    .hypersdk/packs/<aa>/<64 hex>        packs, named by the BLAKE3 of their bytes
    .hypersdk/index/<64 hex>             index runs
    .hypersdk/leases/<session>/<n>       running writers and collectors
    .hypersdk/gc/<ulid>                  condemned packs
    .hypersdk/damage/<64 hex>            chunks that verification found damaged
    .hypersdk/pruned/<64 hex>            tombstones of restore points removed by retention
"""

from __future__ import annotations

from datetime import UTC, datetime

from blake3 import blake3

from hypersdk.model.errors import InvalidInput

ENGINE = ".hypersdk"
CONFIG = f"{ENGINE}/config"
KEYS = f"{ENGINE}/keys"
PACKS = f"{ENGINE}/packs"
INDEX = f"{ENGINE}/index"
LEASES = f"{ENGINE}/leases"
COLLECTIONS = f"{ENGINE}/gc"
DAMAGE = f"{ENGINE}/damage"
PRUNED = f"{ENGINE}/pruned"

POINT_SUFFIX = ".rp"
_TIME_FORMAT = "%Y%m%dT%H%M%SZ"

#: Characters that stand for themselves in a folder name, beside letters and digits of any script.
#: A plus sign does not: the root of an ext4 filesystem has a foreign folder ``lost+found``.
_PLAIN = frozenset("._-@,() ")
#: Bytes; most filesystems allow 255 and append their own marks.
_FOLDER_MAX = 200
_NAME_MAX = 1024


def instance_folder(name: str) -> str:
    """Folder of an instance: readable, reversible up to 200 bytes, unique beyond.

    ``=XX`` stands for a byte that must not appear in a path. Raises InvalidInput for an empty
    name, one beyond 1024 bytes, or one that is not text (bytes of a command line in no encoding).
    """
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"the instance name {name!r} is not UTF-8", hint="Choose another with --name."
        ) from error
    if not encoded or len(encoded) > _NAME_MAX:
        raise InvalidInput(
            f"an instance name has 1 to {_NAME_MAX} bytes, this one has {len(encoded)}",
            hint="Choose another with --name.",
        )
    folder = "".join(_escape(name, position) for position in range(len(name)))
    if len(folder.encode()) <= _FOLDER_MAX:
        return folder
    digest = blake3(encoded).hexdigest()[:32]
    return f"{_cut(folder, 160)}=~{digest}"


def _escape(name: str, position: int) -> str:
    char = name[position]
    at_edge = position in (0, len(name) - 1)
    if char.isalnum() or (char in _PLAIN and not (at_edge and char in ". ")):
        return char
    return "".join(f"={byte:02X}" for byte in char.encode())


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")


def point_key(instance: str, time: datetime, identity: str) -> str:
    """Key of a restore point: ``web-1/20261121T030519Z-01KAH….rp``."""
    stamp = time.astimezone(UTC).strftime(_TIME_FORMAT)
    return f"{instance_folder(instance)}/{stamp}-{identity}{POINT_SUFFIX}"


def pack_key(name: bytes) -> str:
    """Key of the pack whose BLAKE3 is ``name``."""
    text = name.hex()
    return f"{PACKS}/{text[:2]}/{text}"


def pack_name(key: str) -> bytes | None:
    """BLAKE3 that the pack under this key must have; None for something else."""
    text = key.rsplit("/", 1)[-1]
    try:
        return bytes.fromhex(text) if len(text) == 64 else None
    except ValueError:
        return None
