from __future__ import annotations

from hypersdk.drivers.mock.chance import Count, chance


def test_the_same_question_has_the_same_answer() -> None:
    assert chance(1, "a", 2) == chance(1, "a", 2)
    assert len({chance(1, "a", 2), chance(2, "a", 2), chance(1, "b", 2), chance(1, "a", 3)}) == 4


def test_answers_are_spread_evenly() -> None:
    drawn = [chance(0, number) for number in range(10_000)]
    assert all(0 <= each < 1 for each in drawn)
    assert 900 < sum(each < 0.1 for each in drawn) < 1100


def test_counting_is_by_key() -> None:
    count = Count()
    assert [count.next("a"), count.next("b"), count.next("a")] == [1, 1, 2]
