"""Whose address a session keeps and a limit counts.

Promise: settings.TRUSTED_PROXIES alone decides who is believed. On failure: the rule is the test's name.
"""

from typing import Any

import pytest
from django.test import RequestFactory

from accounts.models import USER_AGENT_LENGTH
from accounts.visitors import address_of, user_agent_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def address(peer: str, forwarded: str | None = None) -> str:
    headers: dict[str, Any] = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return address_of(RequestFactory().get("/", REMOTE_ADDR=peer, **headers))


@pytest.fixture
def proxies(settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/24", "2001:db8:1::7"]


def test_a_stranger_is_not_believed(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert address("198.51.100.1", "203.0.113.9") == "198.51.100.1"


@pytest.mark.usefixtures("proxies")
@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.7", None, "10.0.0.7"),
        ("10.0.0.7", "203.0.113.9", "203.0.113.9"),
        ("10.0.1.7", "203.0.113.9", "10.0.1.7"),
        ("2001:db8:1::7", "203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.7", "203.0.113.9", "203.0.113.9"),
        # What stands left of the first stranger, the stranger wrote.
        ("10.0.0.7", "127.0.0.1, 10.0.0.9, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.7", "203.0.113.9, 10.0.0.8", "203.0.113.9"),
        ("10.0.0.7", "203.0.113.9,10.0.0.8,2001:DB8:1:0::7", "203.0.113.9"),
        ("10.0.0.7", "10.0.0.9, 10.0.0.8", "10.0.0.9"),
        # What no one can read is not gone past.
        ("10.0.0.7", "203.0.113.9, unknown", "10.0.0.7"),
        ("10.0.0.7", "203.0.113.9, unknown, 10.0.0.8", "10.0.0.8"),
        ("10.0.0.7", "", "10.0.0.7"),
        ("10.0.0.7", ",,,", "10.0.0.7"),
        ("10.0.0.7", "\0", "10.0.0.7"),
        ("10.0.0.7", "9" * 100_000, "10.0.0.7"),
        # The forms that proxies write.
        ("10.0.0.7", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.7", "[2001:db8::9]:4711", "2001:db8::9"),
        ("10.0.0.7", "2001:db8::9", "2001:db8::9"),
        ("10.0.0.7", "::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_address_is_the_last_that_no_trusted_proxy_has(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert address(peer, forwarded) == client


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("curl/8.5.0", "curl"),
        ("", ""),
        ("?" * 100_000, ""),
        ("\0\x1b[31m", ""),
    ],
)
def test_a_program_is_called_by_its_name(header: str, name: str) -> None:
    assert user_agent_of(RequestFactory().get("/", HTTP_USER_AGENT=header)) == name


def test_a_name_fits_its_column_and_one_line() -> None:
    header = f"{FIREFOX} " + "Weird\x1b" * 50 + "/1.0"
    name = user_agent_of(RequestFactory().get("/", HTTP_USER_AGENT=header))
    assert len(name) <= USER_AGENT_LENGTH
    assert name.isprintable()
