"""Nothing waits forever, and whoever loses interest is let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import HyperSDKError, InstanceNotFound, Interrupted, OperationTimeout
from hypersdk.model.instances import InstanceState

#: Seconds in which a cancelled call has to end.
OBEYS = 2.0
#: Seconds in which reads end.
READS = 30.0


@case("lifecycle.graceful_stop")
def stop_gives_up_in_time(lab: Lab) -> None:
    """Stopping a guest that does not obey raises OperationTimeout in time; it runs on."""
    name = lab.running(lab.stubborn()).name
    began = time.monotonic()
    expect.raises(
        OperationTimeout, lambda: lab.lifecycle.stop(name, timeout=1.0), "a stop with a second"
    )
    took = time.monotonic() - began
    expect.true(took < 1.0 + 5.0, f"a stop with a second took {took:.1f} s")
    expect.equal(lab.state(name), InstanceState.RUNNING, "its state: nothing was cut off")
    lab.lifecycle.stop(name, force=True)
    expect.equal(lab.state(name), InstanceState.STOPPED, "its state after a stop by force")


@case("lifecycle.graceful_stop")
def stop_can_be_cancelled(lab: Lab) -> None:
    """A stop that waits for a guest ends within two seconds of being cancelled; it runs on."""
    name = lab.running(lab.stubborn()).name
    took = _cancelled(lambda: lab.lifecycle.stop(name, timeout=300.0))
    expect.true(took <= OBEYS, f"the cancelled stop ended after {took:.1f} s")
    expect.equal(lab.state(name), InstanceState.RUNNING, "its state: nothing was cut off")


def _cancelled(action: Callable[[], object]) -> float:
    """Cancel it while it waits; seconds that it took to raise Interrupted."""
    token, begun, ended = CancelToken(), threading.Event(), threading.Event()
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            with token.scope():
                begun.set()
                action()
            outcome.append(None)
        except BaseException as error:  # noqa: BLE001 - told apart below
            outcome.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    begun.wait()
    if ended.wait(0.5):
        expect.fail(f"it did not wait, it ended with {outcome[0]!r}")
    began = time.monotonic()
    token.cancel()
    if not ended.wait(30):
        expect.fail("it went on for 30 s after it was cancelled")
    took = time.monotonic() - began
    expect.true(isinstance(outcome[0], Interrupted), f"it ended with {outcome[0]!r}")
    return took


@case("lifecycle")
def a_cancelled_create_is_whole_or_nothing(lab: Lab) -> None:
    """Creating under a cancelled token either raises Interrupted and leaves nothing, or is done."""
    spec = lab.spec()
    token = CancelToken()
    token.cancel()
    with lab.nothing_left():
        with suppress(Interrupted), token.scope():
            lab.create(spec)
        with suppress(InstanceNotFound):
            lab.look(spec.name)
            lab.lifecycle.delete(spec.name, disks=True)


@case("inventory")
def reads_end_in_time(lab: Lab) -> None:
    """Listing and looking end within 30 seconds."""
    expect.at_most(READS, lambda: tuple(lab.inventory.instances()), "the list")
    expect.at_most(
        READS,
        lambda: expect.raises(InstanceNotFound, lambda: lab.look(lab.name()), "a look at nobody"),
        "a look",
    )


@case("lifecycle")
def start_and_stop_end_in_time(lab: Lab) -> None:
    """Start and stop by force end within what is expected of this hypervisor."""
    name = lab.create().name
    expect.at_most(lab.expectations.start, lambda: lab.lifecycle.start(name), "a start")
    expect.at_most(
        lab.expectations.stop, lambda: lab.lifecycle.stop(name, force=True), "a stop by force"
    )


@case("lifecycle")
def calls_work_after_a_cancelled_one(lab: Lab) -> None:
    """A connection on which a call was cancelled goes on working."""
    made = lab.create()
    token = CancelToken()
    token.cancel()
    with suppress(Interrupted, HyperSDKError), token.scope():
        lab.lifecycle.start(made.name)
    lab.lifecycle.start(made.name)
    expect.equal(lab.state(made.name), InstanceState.RUNNING, "its state")
