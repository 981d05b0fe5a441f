"""One running vSphere lab: started, asked for machines, ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from hypersdk.model.errors import HypervisorError, MissingRequirement

#: Seconds for one call; converting a large image is the longest.
_LONGEST_CALL = 600
#: Seconds until a lab that was asked to end is ended.
_LONGEST_END = 30


@dataclass(frozen=True, slots=True)
class Ready:
    """What the program says when it listens."""

    url: str
    control: str
    fingerprint: str
    user: str
    datacenter: str

    @property
    def address(self) -> str:
        """The URL of the driver, which pins the certificate."""
        query = urlencode({"fingerprint": self.fingerprint}, safe=":")
        return f"vsphere://{self.user}@{urlsplit(self.url).netloc}/{self.datacenter}?{query}"


class LabProcess:
    """The program, as long as it is used. It ends with us: its standard input is our end."""

    def __init__(self, program: Path, flags: Sequence[str]) -> None:
        # In a session of its own: Ctrl-C is ours to handle.
        self._process = subprocess.Popen(
            [str(program), *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.ready = self._await_ready()

    def _await_ready(self) -> Ready:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, said = self._process.communicate()
            raise MissingRequirement(
                f"the vSphere lab did not start: {said.strip()}",
                hint="Is the port taken? --port 0 takes a free one.",
            )
        return Ready(**json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=_LONGEST_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def watch(self, seconds: float) -> None:
        """Stay for a while; an error when the program ends in it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(timeout=seconds)
            raise HypervisorError(f"the vSphere lab ended by itself with status {status}")

    def add(self, machine: Mapping[str, object]) -> None:
        """Make a virtual machine; the fields are in docs/vsphere-lab.md."""
        request = urllib.request.Request(  # noqa: S310 - the address of our own program
            f"{self.ready.control}/vms", data=json.dumps(machine).encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=_LONGEST_CALL) as response:  # noqa: S310 - the same
                response.read()
        except urllib.error.HTTPError as error:
            with error:
                said: Any = json.load(error)
            raise HypervisorError(f"the vSphere lab refused a machine: {said['error']}") from error
