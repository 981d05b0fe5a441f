"""vCenter's REST interface, for what SOAP does not have: tags. A session of its own, ended at once.

Its TLS is that of the connection: verified or pinned in the same way.
"""

from __future__ import annotations

import base64
import json
from types import TracebackType
from typing import Any, Self

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import NATIVE, translated
from hypersdk.model.errors import HyperSDKError, HypervisorDenied, HypervisorError, NotSupported

_SESSION = "/rest/com/vmware/cis/session"
_HEADER = "vmware-api-session-id"
#: Bytes of an answer at most.
_ANSWER_MAX = 64 << 20
_KINDS: dict[int, tuple[type[HyperSDKError], str]] = {
    401: (HypervisorDenied, "Check user and password."),
    403: (HypervisorDenied, "Give the user the right to see tags."),
    404: (NotSupported, "Only a vCenter has it."),
}


class Rest:
    """One login. Use it as a context manager, in one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = connection.http(f"https://*{_SESSION}")
        user, password = connection.session.authorization()
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        try:
            self._id = str(self._ask("POST", _SESSION, {"Authorization": f"Basic {basic}"}))
        except BaseException:
            self._http.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._ask("DELETE", _SESSION, {_HEADER: self._id})
        finally:
            self._http.close()

    def get(self, path: str) -> Any:
        """The value of an answer. Raises NotSupported where there is no such thing."""
        return self._ask("GET", path, {_HEADER: self._id})

    def post(self, path: str, body: object = None) -> Any:
        """As `get`, for what is asked or done by POST."""
        return self._ask("POST", path, {_HEADER: self._id}, body)

    def _ask(self, method: str, path: str, headers: dict[str, str], body: object = None) -> Any:
        doing = f"ask {self._connection.address.place} for {path}"
        sent = None if body is None else json.dumps(body)
        headers = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        try:
            self._http.request(method, path, sent, headers)
            answer = self._http.getresponse()
            content = answer.read(_ANSWER_MAX)
        except NATIVE as error:
            raise translated(error, doing) from error
        if answer.status >= 400:
            kind, hint = _KINDS.get(answer.status, (HypervisorError, "See vCenter's own log."))
            raise kind(f"cannot {doing}: {answer.status} {answer.reason}", hint=hint)
        try:
            found = json.loads(content) if content else {}
        except ValueError as error:
            raise HypervisorError(
                f"cannot {doing}: the answer is no JSON", hint="See what answers there."
            ) from error
        return found.get("value") if isinstance(found, dict) else found
