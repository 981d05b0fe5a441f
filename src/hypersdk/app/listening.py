"""The sockets that the daemon serves, and who has the port when it is taken."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from hypersdk.config.daemon import DaemonSettings
from hypersdk.model.errors import Conflict, InvalidInput

_BACKLOG = 2048
#: Of the unix socket: its owner and its group may use it.
_MODE = 0o660


def bind_tcp(settings: DaemonSettings) -> list[socket.socket]:
    """One socket for each address of ``listen``, all with one port. Raises Conflict when it is
    taken, InvalidInput for a host that is not ours."""
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise InvalidInput(
            f"listen: the host '{host}' is not known: {error.strerror}",
            hint="Name an address of this machine, or localhost.",
        ) from error
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            # A port that was chosen for the first address is that of the others, too.
            chosen = port or (bound[0].getsockname()[1] if bound else 0)
            opened = _bound(family, (address[0], chosen, *address[2:]), host)
            if opened is not None:
                bound.append(opened)
    except BaseException:
        for each in bound:
            each.close()
        raise
    if not bound:
        raise InvalidInput(
            f"listen: no address of '{host}' can be used here", hint="Listen on localhost:8080."
        )
    return bound


def _bound(family: int, address: tuple[object, ...], host: str) -> socket.socket | None:
    """None: this machine has no such family of addresses."""
    try:
        opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    except OSError:
        return None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)  # now, so that a second daemon fails and not the first
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRNOTAVAIL and family == socket.AF_INET6:
            return None
        raise _refused(error, host, int(str(address[1]))) from error
    return opened


def _refused(error: OSError, host: str, port: int) -> Conflict | InvalidInput:
    where = f"{host or '*'}:{port}"
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(port)
        return Conflict(
            f"the port {where} is taken" + (f" by {owner}" if owner else ""),
            hint="Stop that one, or choose another port: hypervisord --listen localhost:8081",
        )
    if error.errno == errno.EACCES:
        return InvalidInput(
            f"the port {where} may be used by root only", hint="Choose one above 1023."
        )
    return InvalidInput(f"cannot listen on {where}: {error.strerror}", hint="Choose another one.")


def bind_unix(path: Path, group: str) -> socket.socket:
    """The unix socket; what a killed daemon left there is replaced. Raises Conflict when somebody
    listens on it, InvalidInput."""
    owner = _group(group) if group else -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        if path.exists() or path.is_symlink():
            _clear(path)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        # Nobody gets in between making it and giving it its mode.
        old = os.umask(0o177)
        try:
            opened.bind(str(path))
        finally:
            os.umask(old)
        os.chown(path, -1, owner)
        os.chmod(path, _MODE)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        raise InvalidInput(
            f"cannot listen on {path}: {error.strerror or error}",
            hint="Name another path with socket, shorter than 108 bytes.",
        ) from error
    return opened


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise InvalidInput(
            f"socket_group: there is no group '{name}'", hint="Make it with: groupadd --system …"
        ) from None


def _clear(path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise InvalidInput(f"{path} is there and no socket", hint="Name another path with socket.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # nobody listens: its daemon was killed
        else:
            raise Conflict(
                f"another process listens on {path}", hint="Stop it, or name another socket."
            )


def port_owner(port: int) -> str:
    """``nginx (process 812)``; empty when it cannot be known, as of another user's process."""
    wanted = set(_listening(port))
    for entry in Path("/proc").glob("[0-9]*") if wanted else ():
        with contextlib.suppress(OSError):
            for descriptor in (entry / "fd").iterdir():
                if os.readlink(descriptor) in wanted:
                    return f"{(entry / 'comm').read_text().strip()} (process {entry.name})"
    return ""


def _listening(port: int) -> Iterator[str]:
    """``socket:[INODE]`` of those that listen on a port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"
