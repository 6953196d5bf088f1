"""What every test of the project gets: its own key prefix, and a kernel that has just woken up.

A test talks to the real Redis of the settings. Its keys start with a prefix of its own, so tests neither
see one another nor need a flush; the prefix dies with the test session's server, or by expiry.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from caching import node


@pytest.fixture(autouse=True)
def caching_prefix(settings: Any) -> Iterator[str]:
    """The prefix of this test's keys; the node of the test before, its bus and its L1 are gone."""
    # Only here are the apps ready.
    from accounts import api_keys, session_touches

    prefix = f"test:{secrets.token_hex(4)}"
    settings.CACHING = {**settings.CACHING, "PREFIX": prefix}
    yield prefix
    left = node.forget()
    if left is not None:
        left.close()
    # Those are of rows that are gone with the test.
    for touches in (api_keys.touches, session_touches.touches):
        touches._start_over()
