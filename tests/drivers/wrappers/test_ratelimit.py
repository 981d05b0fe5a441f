from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.wrappers.ratelimit import RateLimited
from hypersdk.model.errors import Interrupted, InvalidInput
from tests.drivers.wrappers.failing import Clock, Failing, lab, parts


def test_calls_keep_to_the_rate(tmp_path: Path) -> None:
    clock = Clock()
    limit = RateLimited(2, burst=3, clock=clock, sleep=clock.sleep)
    inventory, _ = parts(lab(tmp_path, "web"), limit)
    began = clock()
    moments = []
    for _ in range(7):
        inventory.instance("web")
        moments.append(clock() - began)
    assert moments == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5, 2.0])


def test_whoever_waits_can_be_cancelled(tmp_path: Path) -> None:
    clock, token, inner = Clock(), CancelToken(), Failing()
    limit = RateLimited(0.001, clock=clock, sleep=lambda _: token.cancel())
    inventory, _ = parts(lab(tmp_path, "web"), limit, inner)
    inventory.instance("web")
    with token.scope(), pytest.raises(Interrupted):
        inventory.instance("web")
    assert len(inner.calls) == 1


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (5, 0.5)])
def test_a_rate_that_lets_nothing_pass(rate: float, burst: float) -> None:
    with pytest.raises(InvalidInput, match="lets no call pass"):
        RateLimited(rate, burst)
