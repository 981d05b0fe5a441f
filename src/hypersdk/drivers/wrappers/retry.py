"""Making a call again when the hypervisor was away or busy for a moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tenacity

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.calls import Call, Effect
from hypersdk.model.errors import CircuitOpen, HyperSDKError, HypervisorBusy
from hypersdk.observe import tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how long to try. The wait doubles each time; a random part is added to it,
    so that many callers whom a hypervisor sent away do not come back at the same moment."""

    #: Calls in all, the first included.
    attempts: int = 4
    #: Seconds from the first failure after which no further call is begun.
    timeout: float = 60.0
    #: Seconds before the second call.
    wait_first: float = 0.2
    #: Longest wait in seconds, without its random part.
    wait_longest: float = 10.0
    #: The random part, at most, as a share of the wait.
    jitter: float = 0.5


class Retrying:
    """Repeats calls that failed with a retryable error, when repeating is safe.

    What changes nothing, or finds itself done when it comes a second time, is repeated after any
    such error, also after a lost reply. What must happen once only (``create``) is repeated only
    when it was refused before anything was begun. An open circuit breaker is not waited for.

    ``sleep`` takes seconds; by default it obeys the token in force. ``dice`` gives 0 … 1.
    """

    def __init__(
        self,
        retries: Retries | None = None,
        *,
        sleep: Callable[[float], None] | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._retries = retries or Retries()
        self._sleep = sleep or _cancellable_sleep
        self._dice = dice

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        try:
            return go()
        except HyperSDKError as error:
            if not _worth_repeating(call, error):
                raise
            first: HyperSDKError | None = error
        # What works at once, as nearly always, has cost nothing; the library comes in only here.

        def attempt() -> Any:
            nonlocal first
            if first is None:
                return go()
            error, first = first, None
            raise error

        return self._repeat(call, attempt)

    def _repeat(self, call: Call, attempt: Callable[[], Any]) -> Any:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _worth_repeating(call, error)),
            stop=tenacity.stop_after_attempt(self._retries.attempts)
            | tenacity.stop_before_delay(self._retries.timeout),
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=lambda state: tracing.note(retries=state.attempt_number),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except HyperSDKError as error:
            tries = retrying.statistics.get("attempt_number", 1)
            if tries > 1 and error.retryable:
                error.hint = f"Tried {tries} times. {error.hint}".strip()
            raise

    def _wait(self, state: tenacity.RetryCallState) -> float:
        doubled = self._retries.wait_first * 2.0 ** (state.attempt_number - 1)
        return min(doubled, self._retries.wait_longest) * (1 + self._retries.jitter * self._dice())


def _worth_repeating(call: Call, error: BaseException) -> bool:
    if not isinstance(error, HyperSDKError) or isinstance(error, CircuitOpen):
        return False
    return error.retryable and (isinstance(error, HypervisorBusy) or call.effect is not Effect.ONCE)


def _cancellable_sleep(seconds: float) -> None:
    token_in_force().wait(seconds)
