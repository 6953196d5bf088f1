"""What the admin's pages may load and run.

Promises tested: over HTTP; that browsers hold to the policy is in test_walk.py. On failure: the broken rule
is the test's name.
"""

import pytest
from django.test import Client

from console.policy import HEADER, POLICY

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/admin/", 200),
        ("/admin/login/", 302),
        ("/admin/password_change/", 200),
        ("/admin/jsi18n/", 200),
        ("/admin/catalog/", 200),
        ("/admin/catalog/product/nothing/change/", 302),
        ("/admin/nothing/", 404),
        ("/admin/scoreboard/", 200),
    ],
)
def test_every_answer_of_the_admin_has_the_policy(chief: Client, url: str, status: int) -> None:
    response = chief.get(url)
    assert (response.status_code, response.headers[HEADER]) == (status, POLICY)


def test_a_stranger_gets_the_policy_with_the_form() -> None:
    assert Client().get("/admin/login/").headers[HEADER] == POLICY


def test_nothing_of_a_page_itself_may_run_and_nothing_may_leave() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in POLICY
    assert "http" not in POLICY


@pytest.mark.parametrize("url", ["/healthz", "/api/v1/products/", "/api/docs/"])
def test_other_pages_have_what_they_say_themselves(url: str) -> None:
    assert Client().get(url).headers.get(HEADER) != POLICY
