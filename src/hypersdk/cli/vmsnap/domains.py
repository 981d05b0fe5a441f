"""Which domains are meant by ``--domains``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from hypersdk import HyperSDKError, Hypervisor, HypervisorError, connect
from hypersdk.cli.vmsnap.exits import NoDomains

DEFAULT_URI = "qemu:///system"


@dataclass(frozen=True, slots=True)
class Selection:
    """What was said on the command line."""

    uri: str = DEFAULT_URI
    #: Names, comma lists and globs as typed; none: all domains.
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """What that means on the hypervisor."""

    #: Each once, in the order in which they were named.
    names: tuple[str, ...]
    #: Names and globs that nothing answers to.
    unknown: dict[str, HyperSDKError]


def required(selection: Selection) -> None:
    """Raises NoDomains when none was named: to change all there are takes ``--domains '*'``."""
    if not any(pattern.strip(", ") for pattern in selection.patterns):
        raise NoDomains("no domain was named", hint="Name them: --domains NAME,… or --domains '*'")


@contextlib.contextmanager
def connected(selection: Selection) -> Iterator[Hypervisor]:
    """The hypervisor of ``--connect``."""
    hypervisor = connect(f"libvirt+{selection.uri}")
    try:
        yield hypervisor
    finally:
        hypervisor.close()


def select(hypervisor: Hypervisor, selection: Selection) -> Selected:
    """Raises NoDomains when nothing at all is meant."""
    if hypervisor.inventory is None:
        raise HypervisorError(f"{hypervisor.url} does not say which domains it has")
    there = [instance.name for instance in hypervisor.inventory.instances()]
    found, unknown = matching(selection.patterns or ("*",), there)
    failures: dict[str, HyperSDKError] = {
        word: _unknown(word, there, hypervisor.url) for word in unknown
    }
    if not found and len(failures) == 1:
        raise next(iter(failures.values()))
    if not found and len(failures) > 1:
        raise NoDomains(f"there are no domains {', '.join(failures)} on {hypervisor.url}")
    return Selected(tuple(found), failures)


def matching(patterns: Iterable[str], there: list[str]) -> tuple[list[str], list[str]]:
    """Names that comma lists of names and globs mean, each once, and words that mean none."""
    found: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for text in patterns:
        # A name that holds a comma is found by all of it.
        words = [text] if text in there else [word.strip() for word in text.split(",")]
        for word in filter(None, words):
            names = [word] if word in there else [name for name in there if _glob(word, name)]
            found.update(dict.fromkeys(names))
            if not names:
                unknown[word] = None
    return list(found), list(unknown)


def _glob(pattern: str, name: str) -> bool:
    """``*`` and ``?`` only: brackets are part of some names."""
    parts = {"*": ".*", "?": "."}
    regex = "".join(parts.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(regex, name, re.DOTALL) is not None


def _unknown(word: str, there: list[str], url: str) -> NoDomains:
    if "*" in word or "?" in word:
        return NoDomains(f"no domain on {url} matches '{word}'", hint="See: virsh list --all")
    near = get_close_matches(word, there, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else "See what there is: vmsnap --status"
    return NoDomains(f"there is no domain '{word}' on {url}", hint=hint)
