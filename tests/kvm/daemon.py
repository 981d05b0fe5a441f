"""A libvirtd of our own, which shares nothing with the machine's and cannot outlive us.

It runs in its own mount, process and host name namespaces. Fresh folders lie over the places where
libvirt keeps sockets, settings and state, so any number run side by side and the machine's own
domains are neither seen nor touched. The network is shared: VNC and migration reach 127.0.0.1.

A shell is process 1 in there and obeys orders from a pipe that only we hold. When we die, however
suddenly, the pipe closes, the shell ends, and with process 1 the kernel kills all the others,
every QEMU included, and drops the mounts. A second shell outside then removes the folder.

Paths below ``/var/lib/libvirt`` and ``/run/libvirt`` in a domain's XML are the daemon's own view;
from outside they are ``<folder>/lib`` and ``<folder>/run``. Paths below ``images`` are the same
on both sides.

Live migration between two of these daemons: each has a host UUID and a host name of its own
(libvirt refuses to migrate "to the same host"), the connections are both ours (managed direct
migration, no peer-to-peer), and the stream goes through a TCP port on 127.0.0.1::

    source, target = Libvirtd(), Libvirtd()
    flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE
    domain.migrate3(target.open(), {libvirt.VIR_MIGRATE_PARAM_URI: "tcp://127.0.0.1"}, flags)

Disks must lie in a folder that both can reach: either daemon's ``images`` will do. UNSAFE is
needed because libvirt cannot know that the folder is shared.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Self

import libvirt

from tests.components import missing

#: Seconds until the daemon must answer, and until all of it must be gone.
_START_SECONDS = 20
_END_SECONDS = 20
#: Ports for VNC and for migration, of which each daemon takes its own: two that pick "a free one"
#: at the same moment would pick the same. Below the kernel's range for outgoing connections.
_PORTS = range(10_000, 32_000, 64)

# swtpm's places are only there when it is installed, and belong to its own user.
_INSIDE = r"""
set -e
folder=$1
mkdir -p /run/libvirt /var/log/libvirt /var/cache/libvirt
for place in run:/run/libvirt etc:/etc/libvirt lib:/var/lib/libvirt log:/var/log/libvirt \
    cache:/var/cache/libvirt etc/hosts:/etc/hosts; do
    mount --bind "$folder/${place%%:*}" "${place#*:}"
done
for place in /var/lib/swtpm-localca /var/log/swtpm; do
    [ -d "$place" ] || continue
    mkdir -p "$folder/swtpm/${place##*/}"
    chown --reference="$place" "$folder/swtpm/${place##*/}"
    chmod --reference="$place" "$folder/swtpm/${place##*/}"
    mount --bind "$folder/swtpm/${place##*/}" "$place"
done
# libvirt's locks on consoles hold a process id, which means another process in another namespace.
mkdir -p /run/lock
mount -t tmpfs locks /run/lock
# Domains are emulated everywhere, so that runs compare. And a /dev/kvm that libvirt's probe may
# open and libvirt-qemu may not, as without udev, makes it probe QEMU at every turn, for 10 s.
if [ -e /dev/kvm ]; then
    (umask 077 && : >"$folder/no-kvm")
    mount --bind "$folder/no-kvm" /dev/kvm
fi
# Control groups of our own, below the machine's: what is left of them is easily found. libvirt
# takes an empty cgroup2 beside those of version 1 for one with controllers.
if [ -n "$3" ]; then
    umount /sys/fs/cgroup/unified 2>/dev/null || true
    for controller in cpu cpuacct; do # which may be one
        [ ! -d "/sys/fs/cgroup/$controller/$3" ] ||
            mount --bind "/sys/fs/cgroup/$controller/$3" "/sys/fs/cgroup/$controller"
    done
fi
hostname "$2"
virtlogd --daemon --pid-file /run/libvirt/virtlogd.pid
readlink /proc/self/ns/pid
pid=
while read -r order; do
    case $order in
        start)
            if [ -z "$pid" ]; then
                libvirtd --pid-file /run/libvirt/libvirtd.pid >>"$folder/log/libvirtd.log" 2>&1 &
                pid=$!
            fi
            ;;
        kill)
            if [ -n "$pid" ]; then
                kill -KILL "$pid" && wait "$pid" || true
                pid=
            fi
            ;;
    esac
    echo done
done
"""
# Bridges live in the shared network, so process 1 does not take them along.
_OUTSIDE = r"""
unshare --mount --uts --pid --fork --mount-proc --kill-child bash -c "$1" lab "$2" "$3" "$4"
sed -n "s/.*<bridge name='\([^']*\)'.*/\1/p" "$2"/run/network/*.xml 2>/dev/null |
    while read -r bridge; do ip link delete "$bridge"; done
[ -z "$4" ] || find "/sys/fs/cgroup/cpu/$4" "/sys/fs/cgroup/cpuacct/$4" -depth -type d \
    -exec rmdir {} + 2>/dev/null
rm -rf "$2"
"""


class Libvirtd:
    """A running private libvirtd, from construction to `close`. Needs root."""

    #: Short, for the sockets in it, and open to QEMU, which runs as libvirt-qemu.
    folder: Path
    #: Where tests put disks, sockets and whatever else QEMU must reach; anybody may write.
    images: Path
    #: Where the guests' system lies.
    boot: Path
    #: What `libvirt.open` takes, and the same as a URL of HyperSDK.
    uri: str
    url: str

    def __init__(self, *, control_groups: bool = False) -> None:
        """``control_groups``: for processors; of cgroups v1, or the test is skipped."""
        if control_groups and not Path("/sys/fs/cgroup/cpu/cpu.shares").exists():
            missing("needs the controller for processors of cgroups v1")
        self.folder = Path(tempfile.mkdtemp(prefix="hl-", dir="/tmp"))
        self.images = self.folder / "images"
        self.boot = self.folder / "boot"
        self.uri = f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"
        self.url = f"libvirt+{self.uri}"
        self._host = f"lab-{uuid.uuid4().hex[:8]}"
        self._group = self._new_group() if control_groups else ""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            self._furnish()
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _OUTSIDE, "sh", _INSIDE, self.folder, self._host, self._group],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,  # Ctrl-C is for us alone
            )
        except BaseException:
            self._stderr.close()
            shutil.rmtree(self.folder)
            raise
        try:
            self._namespace = self._reply()
            self.restart()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> libvirt.virConnect:
        """A new connection, which the caller closes."""
        return libvirt.open(self.uri)

    def kill(self) -> None:
        """SIGKILL libvirtd and nothing else: running domains go on without it."""
        self._order("kill")

    def restart(self) -> None:
        """Start libvirtd again after `kill`, on the same state; it adopts domains that run.

        Does nothing if it was not killed.
        """
        self._order("start")
        deadline = time.monotonic() + _START_SECONDS
        # A probe by libvirt itself would print an error for each attempt.
        while not self._listens():
            if time.monotonic() > deadline:
                raise AssertionError(f"libvirtd does not start:\n{self.log()}")
            time.sleep(0.02)
        self._wait_for_adoption()

    def close(self) -> None:
        """End libvirtd, every QEMU it started, and remove all files. May be called twice."""
        if self._process.returncode is not None:
            return
        self._stderr.close()
        try:
            self._process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """The end of what libvirtd and the shells around it have said."""
        # Not by seek and read: the shells write at the same position.
        shells = os.pread(self._stderr.fileno(), 4000, 0).decode(errors="replace")
        logs = [path.read_text(errors="replace") for path in self.folder.glob("log/*.log")]
        return "\n".join(text[-4000:] for text in (shells, *logs))

    def processes(self) -> dict[int, str]:
        """All processes in here: their ids as seen from outside, and their command lines."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if os.readlink(entry / "ns/pid") == self._namespace:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    found[int(entry.name)] = os.fsdecode(b" ".join(words).rstrip())
        return found

    def qemu_pid(self, domain: str) -> int:
        """The process id, seen from outside, of the QEMU that runs a domain."""
        for pid, command in self.processes().items():
            if f" guest={domain}," in command:
                return pid
        raise AssertionError(f"no QEMU runs {domain}")

    def _new_group(self) -> str:
        for controller in ("cpu", "cpuacct"):
            Path("/sys/fs/cgroup", controller, self.folder.name).mkdir(exist_ok=True)
        return self.folder.name

    def _furnish(self) -> None:
        # With mkdir's mode the umask would have its say.
        self.folder.chmod(0o711)
        for name in ("run", "etc", "lib", "log", "cache", "boot", "etc/qemu", "lib/qemu"):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(0o755)
        self.images.mkdir()
        self.images.chmod(0o777)
        port = random.choice(_PORTS)
        (self.folder / "etc/libvirtd.conf").write_text(
            f'host_uuid = "{uuid.uuid4()}"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n'
        )
        # libvirt looks itself up, which takes 10 s where no name server answers.
        hosts = Path("/etc/hosts").read_text()
        (self.folder / "etc/hosts").write_text(f"{hosts}\n127.0.0.1 {self._host}\n")
        controllers = '"cpu", "cpuacct"' if self._group else ""
        # Without controllers libvirt makes no control groups, which would stay behind. A private
        # /dev for each QEMU fails where /dev/kvm is covered.
        (self.folder / "etc/qemu.conf").write_text(
            f"cgroup_controllers = [ {controllers} ]\nnamespaces = [ ]\n"
            f"remote_display_port_min = {port}\nremote_display_port_max = {port + 31}\n"
            f"migration_port_min = {port + 32}\nmigration_port_max = {port + 63}\n"
        )

    def _order(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())
        self._process.stdin.flush()
        self._reply()

    def _reply(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise AssertionError(f"the lab's first process has ended:\n{self.log()}")
        return line

    def _wait_for_adoption(self) -> None:
        # Domains are listed at once; a command that comes before libvirt has its monitor back
        # finds some of them gone. memoryStats waits for its turn behind that.
        connection = self.open()
        for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            with contextlib.suppress(libvirt.libvirtError):  # it ended meanwhile
                domain.memoryStats()
        connection.close()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / "run/libvirt-sock")) == 0
