"""The verdict of the catalog's demo on what another process answered after a write."""

import pytest

from caching.freshness import Witness
from catalog.demo_traffic import _stale_elsewhere

WRITES = 200


def witness(*delays: float) -> Witness:
    """Of `WRITES` writes, the first ones unseen elsewhere for `delays` seconds."""
    seen = Witness()
    for number in range(WRITES):
        key = f"prod_{number}"
        seen.wrote(key, "1.01", answered=100.0, worker="writing")
        if number < len(delays):
            seen.saw(key, "1.00", began=100.0 + delays[number], worker="reading")
        seen.saw(key, "1.01", began=101.0, worker="reading")
    return seen


@pytest.mark.parametrize(
    ("delays", "holds"),
    [
        ([], True),
        ([0.01] * WRITES, True),
        ([0.058], True),
        ([0.06, 0.24], True),
        ([0.06] * 5, False),
        ([0.051] * WRITES, False),
        ([0.26], False),
    ],
)
def test_one_late_message_is_a_busy_machine_and_many_are_a_slow_bus(
    delays: list[float], holds: bool
) -> None:
    check = _stale_elsewhere(witness(*delays))
    assert check.holds is holds, check.measured


def test_the_target_names_both_bounds() -> None:
    target = _stale_elsewhere(witness()).target
    assert "250 ms" in target
    assert "p99 of delays 50 ms" in target


def test_without_a_write_nothing_is_shown() -> None:
    assert not _stale_elsewhere(Witness()).holds
