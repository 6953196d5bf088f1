"""The addresses of the site as a whole: each there once, and who is answered at all.

Promises: no database, no Redis. On failure: the address is in the message.
"""

from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver


def test_every_include_is_there_once() -> None:
    patterns = [
        (str(each.pattern), str(getattr(each, "urlconf_name", each)))
        for each in get_resolver().url_patterns
    ]
    assert len(set(patterns)) == len(patterns), patterns


@pytest.mark.parametrize(("host", "status"), [("shop.example.com", 200), ("10.0.0.7", 400)])
def test_a_probe_is_answered_under_an_allowed_host_alone(
    host: str, status: int, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["shop.example.com"]
    assert Client().get("/healthz", headers={"host": host}).status_code == status
