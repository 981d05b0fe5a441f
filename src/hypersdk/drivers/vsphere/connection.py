"""One vCenter or ESXi host. Everything that is asked of it goes through here.

Native calls are made inside of ``call``, which turns faults into our errors and logs in again when
the session was lost. Nothing waits forever: each answer comes within 30 seconds or the connection
counts as lost, and what waits for tasks asks the token in force every second.
"""

from __future__ import annotations

import functools
import http.client
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pyVmomi import VmomiSupport, vim

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.vsphere import finding, properties
from hypersdk.drivers.vsphere.address import Address
from hypersdk.drivers.vsphere.errors import NATIVE, concerning, session_lost, translated
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.session import Session, closed
from hypersdk.drivers.vsphere.trust import ANSWER_SECONDS, settle_other
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorDenied,
    InvalidInput,
    NotFound,
    OperationTimeout,
)

T = TypeVar("T")

#: Seconds that vSphere may hold an answer back while nothing happens; the token is asked between.
WAIT_SECONDS = 1


class Connection:
    """May be used by any number of threads."""

    def __init__(self, address: Address) -> None:
        """Logs in. Raises as `Session`."""
        self.address = address
        self.session = Session(address)
        # Logs out when nobody holds the connection any more, and at the end of the process.
        self._farewell = weakref.finalize(self, self.session.close)

    @property
    def url(self) -> str:
        """Without secrets."""
        return self.address.url

    @property
    def content(self) -> Any:
        """vSphere's own table of contents (``vim.ServiceInstanceContent``)."""
        if self.session.is_closed:
            raise closed(self.address)
        return self.session.content

    @property
    def about(self) -> Any:
        """``vim.AboutInfo``: product, version, build."""
        return self.content.about

    @property
    def is_vcenter(self) -> bool:
        return bool(self.about.apiType == "VirtualCenter")

    @functools.cached_property
    def root(self) -> Any:
        """Below what machines are looked for: the folder of them in the datacenter that the URL
        names; None: everywhere. Raises NotFound for one that is not there."""
        return finding.root(self)

    @functools.cached_property
    def simulated(self) -> bool:
        """It is govmomi's simulator, which has no guests: no screens, no memory in use."""
        settings = self.content.setting
        if settings is None:
            return False
        try:
            return bool(self.call(lambda: settings.QueryOptions("vcsim."), "read a setting"))
        except (NotFound, InvalidInput, HypervisorDenied):
            return False  # it has no such settings, or shows them to administrators only

    def call(self, function: Callable[[], T], what: str = "", *, again: bool = True) -> T:
        """Make one native call and raise ours for its errors. ``what``: "start 'web'".

        A session that was lost is renewed, and with ``again`` the call made once more: nothing was
        begun. Without: whatever belonged to the session (views, filters, leases) is gone with it.
        """
        if self.session.is_closed:
            raise closed(self.address)
        generation = self.session.generation
        try:
            return function()
        except NATIVE as error:
            if not session_lost(error):
                raise self.ours(error, what) from error
            lost = error
        self.session.renew(generation)
        if not again:
            raise self.ours(lost, what) from lost
        try:
            return function()
        except NATIVE as error:
            raise self.ours(error, what) from error

    def ours(self, error: BaseException, what: str = "") -> HyperSDKError:
        """A native error, also one that a task ended with, as ours."""
        return translated(error, what or f"ask {self.address.place}", naming=self.naming)

    def naming(self, thing: object) -> str:
        """What people call a managed object; its id when it cannot be asked."""
        if not isinstance(thing, vim.ManagedEntity):
            return moid(thing) if isinstance(thing, VmomiSupport.ManagedObject) else str(thing)
        try:
            name = vim.ManagedEntity(moid(thing), self.session.stub).name
        except NATIVE:
            return moid(thing)  # we may not even see it; an error is on its way already
        return f"'{name}'"

    def object(self, kind: type, moid: str) -> Any:
        """A managed object by its id; nothing is asked for that."""
        return kind(moid, self.session.stub)

    def vm(self, name: str) -> Any:
        """By name, inventory path (``prod/web``, ``DC0/vm/prod/web``; ``%2f`` for a slash in a
        name), instance UUID or managed object id.

        Raises InstanceNotFound with the nearest names, InvalidInput with the paths of two of one
        name.
        """
        with concerning(f"'{name}'"):
            return finding.vm(self, name)

    def get(self, thing: Any, *names: str) -> dict[str, Any]:
        """Properties of an object by their paths (``config.hardware.numCPU``), in one call. None
        for what is not set, or not for us to see. Raises NotFound."""
        return self.call(
            lambda: properties.of_one(self.content, thing, names),
            f"read {', '.join(names)} of {moid(thing)}",
        )

    def many(self, things: Sequence[Any], *names: str) -> dict[str, dict[str, Any]]:
        """Properties of several objects of one kind, in one call: by id. Those that are gone by
        now are left out."""
        if not things:
            return {}
        return self.call(
            lambda: properties.of_many(self.content, things, names),
            f"read {', '.join(names)} of {len(things)} objects",
        )

    def collect(
        self, kind: type | Sequence[type], names: Sequence[str], root: Any = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """All objects of a kind below ``root`` (everywhere when None): id and properties, page by
        page. A session that is lost meanwhile is renewed, and each object comes once."""
        kinds = [kind] if isinstance(kind, type) else list(kind)
        what = f"list {', '.join(each.__name__.rpartition('.')[2] for each in kinds)}"
        seen: set[str] = set()
        for last in (False, True):
            generation = self.session.generation
            try:
                for found, row in properties.of_all(self.content, kinds, names, root):
                    if found not in seen:
                        seen.add(found)
                        yield found, row
            except NATIVE as error:
                if last or not session_lost(error):
                    raise self.ours(error, what) from error
                self.session.renew(generation)
            else:
                return

    def wait(
        self,
        thing: Any,
        names: Sequence[str],
        until: Callable[[dict[str, Any]], bool],
        seconds: float,
        what: str = "",
    ) -> dict[str, Any]:
        """Wait until properties of an object are as they should be; vSphere tells of changes.

        Returns them. Raises OperationTimeout after ``seconds``, Interrupted, NotFound.
        """
        doing = what or f"wait for {moid(thing)}"
        deadline = time.monotonic() + seconds
        known = self.get(thing, *names)
        while not until(known):
            changes = self.call(
                lambda: properties.Changes(self.content, [thing], names), doing, again=True
            )
            generation = self.session.generation
            try:
                known = self._settled(changes, known, until, deadline, doing)
            except NATIVE as error:
                if not session_lost(error):
                    raise self.ours(error, doing) from error
                self.session.renew(generation)
            finally:
                changes.close()
        return known

    def _settled(
        self,
        changes: properties.Changes,
        known: dict[str, Any],
        until: Callable[[dict[str, Any]], bool],
        deadline: float,
        doing: str,
    ) -> dict[str, Any]:
        while not until(known):
            token_in_force().check()
            if time.monotonic() >= deadline:
                raise OperationTimeout(
                    f"cannot {doing}: it did not end in time",
                    hint="See the machine's tasks in vCenter; it may still go on.",
                )
            for change in changes.next(WAIT_SECONDS):
                known = {**known, **change.values}
        return known

    def task(self, begin: Callable[[], Any], what: str, *, seconds: float = 600) -> Any:
        """Begin something and wait until vSphere has done it; what it gives back.

        A caller who cancels has the task cancelled, where vSphere allows it. Raises ours for the
        error that the task ends with, OperationTimeout, Interrupted.
        """
        task = self.call(begin, what)
        try:
            ended = self.wait(
                task, ("info.state",), lambda known: known["info.state"] in _ENDED, seconds, what
            )
        except HyperSDKError:
            self._cancel(task)
            raise
        found = self.get(task, "info.error", "info.result")
        if ended["info.state"] == vim.TaskInfo.State.error:
            raise self.ours(found["info.error"], what) from found["info.error"]
        return found["info.result"]

    def _cancel(self, task: Any) -> None:
        """Ask for it; most tasks cannot be cancelled, and why we are here is raised anyway."""
        try:
            task.CancelTask()
        except NATIVE:
            return

    def http(self, url: str, *, thumbprint: str = "") -> http.client.HTTPSConnection:
        """A connection of one's own to where ``url`` leads, connected and checked.

        ``*`` for the host means the one we speak with. ``thumbprint``: what vSphere says of the
        certificate of another host. The request's path is that of ``url``.
        """
        host, port = self.place(url)
        ours = (host, port) == (self.address.host, self.address.port)
        try:
            trust = self.session.trust if ours else settle_other(host, port, thumbprint)
            made = trust.connection(host, port, ANSWER_SECONDS)
            made.connect()
        except NATIVE as error:
            raise translated(error, f"connect to {host}:{port}") from error
        return made

    def headers(self, url: str) -> Mapping[str, str]:
        """The session, for requests beside SOAP: only to the server that gave it. Secret."""
        host, port = self.place(url)
        if (host, port) != (self.address.host, self.address.port):
            return {}
        return {"Cookie": self.session.cookie}

    def place(self, url: str) -> tuple[str, int]:
        """Host and port of a URL that vSphere gave us."""
        parts = urlsplit(url.replace("://*", f"://{self.address.place}", 1))
        if parts.scheme != "https" or not parts.hostname:
            raise InvalidInput(
                f"vSphere gave an address that is not https: {parts.scheme}://{parts.hostname}",
                hint="Only encrypted transfers are made: set the host to use https.",
            )
        return parts.hostname, parts.port or 443

    def close(self) -> None:
        """Log out. May be called several times."""
        self._farewell()


_ENDED = (vim.TaskInfo.State.success, vim.TaskInfo.State.error)
