"""What counts as a stale read: by the times of requests and answers alone."""

import pytest

from caching.freshness import Witness


def written_twice() -> Witness:
    witness = Witness()
    witness.wrote("a", "1", answered=10.0, worker="x")
    witness.wrote("a", "2", answered=20.0, worker="y")
    return witness


@pytest.mark.parametrize(
    ("value", "began", "worker", "lag", "same_process"),
    [
        ("old", 9.0, "x", None, None),
        ("old", 10.0, "x", None, None),  # begun before the answer was whole
        ("1", 10.1, "x", None, None),
        ("2", 15.0, "x", None, None),  # not answered yet, but committed: newer is never stale
        ("old", 10.5, "x", 0.5, True),
        ("old", 10.5, "z", 0.5, False),
        ("1", 20.5, "y", 0.5, True),
        ("1", 20.5, "x", 0.5, False),  # x answered the write it shows, not the one it missed
        ("old", 20.5, "y", 10.5, True),
        ("unheard of", 20.5, "z", 10.5, False),
    ],
)
def test_a_read_begun_after_the_answer_to_a_write_must_show_it(
    value: str, began: float, worker: str, lag: float | None, same_process: bool | None
) -> None:
    witness = written_twice()
    witness.saw("a", value, began=began, worker=worker)
    stale = list(witness.stale())
    assert [read.same_process for read in stale] == ([] if lag is None else [same_process])
    assert [read.lag for read in stale] == pytest.approx([] if lag is None else [lag])


def test_a_key_that_nobody_wrote_is_never_stale() -> None:
    witness = written_twice()
    witness.saw("b", "old", began=99.0, worker="x")
    assert list(witness.stale()) == []
    assert witness.reads == 0


def test_the_delay_of_a_write_is_the_longest_that_another_process_missed_it() -> None:
    witness = written_twice()
    for began in (10.1, 10.3, 10.2):
        witness.saw("a", "old", began=began, worker="z")
    assert witness.delays() == pytest.approx([0.0, 0.3])


def test_a_value_that_comes_back_is_refused() -> None:
    with pytest.raises(ValueError, match="a was 1 before"):
        written_twice().wrote("a", "1", answered=30.0, worker="x")
