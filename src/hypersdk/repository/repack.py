"""Copy live blobs out of mostly empty packs, as ciphertext, with their sealed keys.

Needs no reader's key: a blob is bound to its group's salt and its ordinal, both of which move with
it. A source pack is read whole and compared with its name first; one that does not match is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blake3 import blake3

from hypersdk.model.errors import ObjectMissing
from hypersdk.repository.format import PACK_BLOBS, PACK_TARGET
from hypersdk.repository.index import ChunkIndex, PackRecord, short
from hypersdk.repository.layout import pack_key
from hypersdk.repository.leases import Lease
from hypersdk.repository.packs import OpenPack, pack_buffer, parse_footer, store_pack
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Vault


def repack(
    store: Store,
    vault: Vault,
    index: ChunkIndex,
    lease: Lease,
    packs: Sequence[PackRecord],
    live: Mapping[bytes, set[bytes]],
) -> tuple[list[PackRecord], int]:
    """Copy the ``live`` blobs (pack → short ids) of packs of one kind; publish their new places.

    Returns the packs that are not needed any more, and the bytes copied. Raises LeaseLost.
    """
    emptied: list[PackRecord] = []
    written = 0
    target: OpenPack | None = None
    for record in packs:
        try:
            data = store.get(pack_key(record.name))
        except ObjectMissing:
            continue
        if blake3(data).digest() != record.name:
            continue  # verification names it; its live blobs stay where they are
        if target is None:
            target = OpenPack(record.kind, pack_buffer(), [], [])
        written += _copy(target, data, record, live[record.name], vault)
        emptied.append(record)
        if target.offset > PACK_TARGET // 2 or len(target.entries) > PACK_BLOBS // 2:
            index.add(store_pack(store, target, vault.context))
            target = None
    if target is not None:
        index.add(store_pack(store, target, vault.context))
    lease.require()
    index.publish(lease)
    return emptied, written


def _copy(target: OpenPack, data: bytes, record: PackRecord, live: set[bytes], vault: Vault) -> int:
    """Append the live blobs of one pack to ``target``; their stored bytes."""
    key = pack_key(record.name)
    footer = parse_footer(key, data, vault.context)
    entries = [entry for entry in footer.entries if short(entry.id) in live]
    used = sorted({entry.group for entry in entries})
    numbers = {group: len(target.groups) + place for place, group in enumerate(used)}
    target.groups += [footer.groups[group] for group in used]
    start = target.offset
    for entry in entries:
        blob = data[entry.offset : entry.offset + entry.stored_length]
        target.buffer[target.offset : target.offset + len(blob)] = blob
        target.entries.append(entry._replace(group=numbers[entry.group], offset=target.offset))
        target.offset += len(blob)
    return target.offset - start
