"""The hypervisors of a fleet, connected to when they are first needed, each under its guards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from types import TracebackType
from typing import Self

from hypersdk.drivers import registry
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.wrappers.breaker import BreakerStatus
from hypersdk.drivers.wrappers.guarded import Policy, breaker_status, connect_guarded
from hypersdk.model.errors import HyperSDKError, HypervisorError, InvalidInput

_log = logging.getLogger(__name__)


class Fleet:
    """Hypervisors by name, in the order in which they were given.

    A hypervisor that cannot be reached stays a member: each use tries to connect to it again, and
    its circuit breaker keeps that cheap. Safe in threads. Raises InvalidInput for a URL with a
    password in it.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        *,
        policy: Policy | None = None,
        connect: Callable[[str], Hypervisor] = registry.connect,
    ) -> None:
        if not urls:
            raise InvalidInput(
                "there is no hypervisor to work with",
                hint='Name them: -H URL, or a table [hypervisors] with NAME = "URL" '
                "in the settings file.",
            )
        for url in urls.values():
            registry.refuse_secrets(url)  # from here on it is shown
        self.urls = dict(urls)
        self._policy = policy or Policy()
        self._connect = connect
        self._opened: dict[str, Hypervisor] = {}
        self._locks = {name: threading.Lock() for name in self.urls}

    @classmethod
    def of(
        cls,
        hypervisors: Iterable[str],
        known: Mapping[str, str] | None = None,
        *,
        policy: Policy | None = None,
    ) -> Fleet:
        """Of URLs, which are their own names, and names of ``known``; all of these when there is
        no other. Raises InvalidInput for a name that is not known."""
        known = known or {}
        chosen: dict[str, str] = {}
        for each in hypervisors:
            if each in known:
                chosen[each] = known[each]
            elif "://" in each:
                chosen[each] = each
            else:
                raise _unknown(each, known)
        return cls(chosen or known, policy=policy)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.urls)

    def hypervisor(self, name: str) -> Hypervisor:
        """The member of this name, connected. Raises InvalidInput, and what connecting raises."""
        if name not in self.urls:
            raise _unknown(name, self.urls)
        with self._locks[name]:
            if name not in self._opened:
                self._opened[name] = connect_guarded(
                    self.urls[name], self._policy, connect=self._connect
                )
            return self._opened[name]

    def breaker(self, name: str) -> BreakerStatus:
        """Whether its circuit breaker lets calls pass."""
        return breaker_status(self.urls[name], self._policy)

    def close(self) -> None:
        """Close the connections there are."""
        while self._opened:
            with suppress(HyperSDKError):
                self._opened.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def failure(error: Exception) -> HyperSDKError:
    """What went wrong with one member or instance. A fault of its driver must not stop, or hide,
    what is done with the others; the log has its traceback."""
    if isinstance(error, HyperSDKError):
        return error
    _log.error("a driver failed unexpectedly", exc_info=error)
    return HypervisorError(
        f"unexpected {type(error).__name__}: {error}", hint="This is a fault of the driver."
    )


def _unknown(name: str, known: Mapping[str, str]) -> InvalidInput:
    near = get_close_matches(name, known, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    names = f"Known are {', '.join(known)}. " if known else ""
    return InvalidInput(
        f"no hypervisor is called '{name}'", hint=f"{meant}{names}A URL will do as well."
    )
