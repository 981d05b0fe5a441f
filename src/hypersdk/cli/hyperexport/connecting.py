"""From what was said about the source to a hypervisor and the names of instances on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from hypersdk import (
    Hypervisor,
    Instance,
    InstanceNotFound,
    InvalidInput,
    NotSupported,
    connect,
    details_of,
)
from hypersdk.cli.hyperexport.options.source import PROVIDERS, Source
from hypersdk.cli.terminal import Terminal


@contextmanager
def connected(terminal: Terminal, source: Source) -> Iterator[Hypervisor]:
    """The hypervisor that was named; closed at the end, which logs out."""
    hypervisor = connect(address(source, terminal.settings.hypervisors, terminal.environment))
    try:
        yield hypervisor
    finally:
        hypervisor.close()


def address(source: Source, known: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """The URL that is meant. Raises InvalidInput."""
    named = source.hypervisor
    if not named:
        if source.provider == "vsphere" and not environment.get("GOVC_URL"):
            raise InvalidInput(
                "no hypervisor was named",
                hint="Give -H URL, or set GOVC_URL, GOVC_USERNAME and GOVC_PASSWORD.",
            )
        return PROVIDERS[source.provider]
    if named in known:
        return known[named]
    near = get_close_matches(named, known, n=1)
    if "://" not in named and near:
        raise InvalidInput(f"no hypervisor '{named}'", hint=f"Did you mean {near[0]}?")
    return named


def chosen(hypervisor: Hypervisor, source: Source) -> tuple[str, ...]:
    """Names of the instances that are meant, each once.

    Raises InstanceNotFound when nothing fits, InvalidInput for an empty batch file.
    """
    names = source.names
    if source.batch is not None:
        names = tuple(dict.fromkeys((*names, *batch_names(source.batch))))
    if not source.filters and not source.folder:
        return names
    found = [each.name for each in _listed(hypervisor, names) if _fits(hypervisor, each, source)]
    if not found:
        raise InstanceNotFound(
            f"no instance fits {_wish(source)}",
            hint="See what there is: hypersdk fleet list -H URL",
        )
    return tuple(dict.fromkeys(found))


def batch_names(file: Path) -> tuple[str, ...]:
    """One name per line; empty lines and lines that begin with # do not count.

    Raises InvalidInput.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidInput(f"{file} is not text in UTF-8") from None
    names = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not names:
        raise InvalidInput(f"{file} names no instance", hint="Write one name per line.")
    return names


def _listed(hypervisor: Hypervisor, names: Iterable[str]) -> Iterator[Instance]:
    if hypervisor.inventory is None:
        raise NotSupported(f"{hypervisor.url} has no list of its instances", hint="Name them.")
    if names:
        return iter([hypervisor.inventory.instance(name) for name in names])
    return hypervisor.inventory.instances()


def _fits(hypervisor: Hypervisor, instance: Instance, source: Source) -> bool:
    path = f"{instance.folder}/{instance.name}".lstrip("/")
    if source.folder.strip("/").lower() not in path.lower():
        return False
    wanted = source.filters.items()
    if wanted <= instance.tags.items() or not wanted:
        return True
    # A listing has no advanced settings: only now, and only for these, is more asked.
    if hypervisor.details is None:
        return False
    known = {**details_of(hypervisor, instance.name).settings, **instance.tags}
    return wanted <= known.items()


def _wish(source: Source) -> str:
    parts = [f"--filter {key}={value}" for key, value in source.filters.items()]
    if source.folder:
        parts.append(f"--folder {source.folder}")
    return " ".join(parts)
