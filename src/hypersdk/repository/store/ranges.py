"""The part of an object that a read asks for."""

from __future__ import annotations

from hypersdk.model.errors import InvalidInput, StoreError


def check_request(offset: int, length: int | None) -> None:
    """Raises InvalidInput when a range cannot be meant."""
    if offset < 0 or (length is not None and length < 0):
        raise InvalidInput(f"a range cannot be negative: offset {offset}, length {length}")


def check_range(key: str, size: int, offset: int, length: int | None) -> tuple[int, int]:
    """First byte and end of the wanted part of an object of ``size`` bytes.

    Raises StoreError when the part reaches behind the end: an object that is shorter than its
    reader knows it to be is damage, and must not become a short result.
    """
    check_request(offset, length)
    end = size if length is None else offset + length
    if offset > size or end > size:
        raise too_short(key, size, offset, length)
    return offset, end


def too_short(key: str, size: int, offset: int, length: int | None) -> StoreError:
    """The error of a read behind the end."""
    wanted = "the rest" if length is None else f"{length} bytes"
    return StoreError(
        f"{key} has {size} bytes; {wanted} from {offset} were asked for",
        hint="The object was cut short; `hypersdk verify REPO` names what depends on it.",
    )
