from __future__ import annotations

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.wrappers.breaker import BreakerRules, BreakerState
from hypersdk.flows.fleet.health import fleet_health
from hypersdk.model.capabilities import Grade
from hypersdk.model.errors import CircuitOpen, HypervisorUnreachable, Interrupted
from tests.flows.fleet.labs import Labs


def test_each_member_is_asked(labs: Labs) -> None:
    labs.add("a", "web")
    labs.add("quiet", config='without = ["host"]')
    labs.start("a", "web")
    with labs.fleet("a", "quiet", urls={"down": labs.url("nowhere")}) as fleet:
        a, quiet, down = fleet_health(fleet)
        assert (a.hypervisor, a.url, a.reachable, a.error) == ("a", labs.url("a"), True, None)
        assert a.latency is not None
        assert 0 < a.latency < 30
        assert a.host is not None
        assert (a.host.product, a.host.active_instances) == ("mock", 1)
        assert {each.part: each.grade for each in a.capabilities}["inventory"] is Grade.FULL
        assert a.breaker.state is BreakerState.CLOSED

        assert quiet.reachable
        assert quiet.host is None

        assert not down.reachable
        assert down.latency is None
        assert isinstance(down.error, HypervisorUnreachable)


def test_the_breaker_is_part_of_it(labs: Labs) -> None:
    rules = BreakerRules(failures=1, rest=600)
    with labs.fleet(urls={"down": labs.url("nowhere")}, retries=None, breaker=rules) as fleet:
        (first,) = fleet_health(fleet)
        (second,) = fleet_health(fleet)
    assert first.breaker.state is BreakerState.OPEN
    assert first.breaker.retry_in > 500
    assert isinstance(second.error, CircuitOpen)


def test_it_can_be_cancelled(labs: Labs) -> None:
    labs.add("a")
    token = CancelToken()
    token.cancel()
    with labs.fleet("a") as fleet, pytest.raises(Interrupted):
        fleet_health(fleet, cancel=token)
