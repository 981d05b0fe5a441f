"""A program of the user's serves disks over NBD; the password reaches it by a private file."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.disks import VsphereDisks
from hypersdk.drivers.vsphere.nbdprovider import Provider
from hypersdk.model.errors import (
    HypervisorError,
    InvalidInput,
    MissingRequirement,
    OperationTimeout,
)
from tests.components import require
from tests.drivers.vsphere.reading import (
    DISK,
    MIB,
    Machines,
    content_of,
    disk_of,
    machines,
    tokens,
)
from tests.vsphere.lab import PASSWORD

__all__ = ["machines"]

#: Notes what it was given, then serves a raw file.
_PROGRAM = """
import json, os, sys
socket, password, note, raw, *rest = sys.argv[1:]
mode = os.stat(password).st_mode
words = {"rest": rest, "password": open(password).read(), "mode": mode, "argv": sys.argv,
         "pid": os.getpid()}
json.dump(words, open(note, "w"))
os.execvp("qemu-nbd", ["qemu-nbd", "--socket", socket, "--persistent", "--shared=0",
          "--read-only", "-f", "raw", raw])
"""


class Served:
    """A provider that serves what the lab holds."""

    def __init__(self, machines: Machines, folder: Path) -> None:
        require("qemu-nbd")
        self._machines = machines
        self.note, self.raw = folder / "note.json", folder / "disk.raw"
        self.file = folder / "provider.toml"
        program = folder / "provider.py"
        program.write_text(_PROGRAM)
        command = [sys.executable, str(program), "{socket}", "{password_file}", str(self.note)]
        command += [str(self.raw), "{server}", "{user}", "{vm}", "{snapshot}", "{file}"]
        command += ["{thumbprint}"]
        self.file.write_text(f"command = {json.dumps(command)}\n")
        url = f"{machines.lab.url}&nbd-provider={self.file}"
        self.connection = Connection(address(url))
        self.disks = VsphereDisks(self.connection)

    def refresh(self, name: str) -> bytes:
        """Serve what the disk holds now."""
        content = self._machines.lab.content(name, 0)
        self.raw.write_bytes(content)
        return content

    def told(self) -> dict[str, object]:
        found = json.loads(self.note.read_text())
        assert isinstance(found, dict)
        return found


def test_a_provider_serves_full_and_incremental_reads(machines: Machines, tmp_path: Path) -> None:
    served = Served(machines, tmp_path)
    name = machines.make(running=True, cbt=True)
    before = served.refresh(name)
    with served.disks.view(name, {}) as view:
        assert "NBD provider" in disk_of(view).reason
        assert content_of(disk_of(view)) == before
        known = tokens(view)
        told = served.told()
        view.confirm()
    machines.lab.write(name, 0, [{"offset": 3 * MIB, "length": 512, "seed": "new"}])
    now = served.refresh(name)
    with served.disks.view(name, known) as view:
        assert disk_of(view).incremental
        assert content_of(disk_of(view), before) == now
    served.connection.close()
    machines.settled(name)
    assert told["password"] == PASSWORD
    assert stat.S_IMODE(int(str(told["mode"]))) == 0o600
    assert f"'{PASSWORD}'" not in str([told["argv"]]).replace("'lab', ", "")  # the user is lab too
    assert not _alive(int(str(told["pid"])))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_that_ends_says_why(machines: Machines, tmp_path: Path) -> None:
    name = machines.make()
    file = tmp_path / "provider.toml"
    file.write_text('command = ["sh", "-c", "echo no licence >&2; exit 3", "{socket}"]\n')
    connection = Connection(address(f"{machines.lab.url}&nbd-provider={file}"))
    with pytest.raises(HypervisorError, match=f"disk {DISK} of '{name}'.*no licence"):
        VsphereDisks(connection).view(name, {})
    file.write_text('command = ["sh", "-c", "sleep 60", "{socket}"]\nseconds = 0.3\n')
    with pytest.raises(OperationTimeout, match="serves nothing"):
        VsphereDisks(connection).view(name, {})
    file.write_text('command = ["no-such-program", "{socket}"]\n')
    with pytest.raises(MissingRequirement, match="no-such-program"):
        VsphereDisks(connection).view(name, {})
    connection.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("command = 1", "list of texts"),
        ("command = []", "wrong kind|no {socket}"),
        ('command = ["x"]', "no {socket}"),
        ('command = ["x", "{socket}", "{password}"]', "unknown placeholder {password}"),
        ('command = ["x", "{socket"]', "expected '}'"),
        ('comand = ["x", "{socket}"]', "unknown key 'comand'"),
        ("command = [", "no TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "provider.toml"
    file.write_text(content)
    with pytest.raises(InvalidInput) as raised:
        Provider.read(str(file))
    assert any(word in raised.value.message for word in words.split("|"))
    with pytest.raises(InvalidInput, match="cannot read"):
        Provider.read(str(tmp_path / "none.toml"))
