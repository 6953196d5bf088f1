"""How limits are written, and which cannot be kept. On failure: the parameter is what was written."""

import pytest

from accounts.ratelimit import Window, parse
from accounts.ratelimit_windows import period_text


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("1000/h", [(1000, 3600)]),
        ("20/s, 1000/hour", [(20, 1), (1000, 3600)]),
        ("5/10m", [(5, 600)]),
        ("100/30s", [(100, 30)]),
        ("100 / 30 seconds,7/2 days", [(100, 30), (7, 172_800)]),
        ("1/sec,1/min,1/hr,1/day", [(1, 1), (1, 60), (1, 3600), (1, 86_400)]),
        ("3/MINUTE", [(3, 60)]),
        ("1/49d", [(1, 49 * 86_400)]),
    ],
)
def test_rates_are_read_as_people_write_them(text: str, windows: list[tuple[int, int]]) -> None:
    assert parse(text) == tuple(Window(*window) for window in windows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is not a rate such as 1000/h"),
        ("1000", "'1000' is not a rate"),
        ("1000/", "'1000/' is not a rate"),
        ("ten/h", "'ten/h' is not a rate"),
        ("10/h,", "'' is not a rate"),
        ("10/week", "'10/week' is not a rate"),
        ("10/h 20/d", "'10/h 20/d' is not a rate"),
        ("-1/h", "'-1/h' is not a rate"),
        ("1.5/h", "'1.5/h' is not a rate"),
        ("٣/h", "is not a rate"),
        ("0/h", "a limit is 1 to 100000000, not 0"),
        ("1/0s", r"a period is 1 to 4294967 seconds \(49 days\), not 0"),
        ("1/50d", r"a period is 1 to 4294967 seconds \(49 days\), not 4320000"),
        ("10/m, 20/60s", "different periods"),
        (",".join(f"1/{period}s" for period in range(1, 18)), "1 to 16 windows, not 17"),
    ],
)
def test_what_is_no_rate_is_one_line_that_says_why(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        parse(text)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 s"),
        (90, "90 s"),
        (600, "10 m"),
        (3600, "1 h"),
        (5400, "90 m"),
        (172_800, "2 d"),
        (4_294_967, "4294967 s"),
    ],
)
def test_a_period_is_written_as_it_is_read(seconds: int, text: str) -> None:
    assert period_text(seconds) == text
    assert parse(f"1/{text}") == (Window(1, seconds),)
