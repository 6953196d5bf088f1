"""The limits of a key on its page in the admin: seen by who may look, reset by who may change.

Promise: looking spends nothing, the page opens whatever Redis does, and no strict CSP breaks it. On failure:
the broken rule is the test's name.
"""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.api_keys import card_of
from accounts.gate import key_caller, standing
from accounts.key_services import create_key, revoke_keys
from accounts.key_text import digest_of
from accounts.models import ApiKey, User
from accounts.tests.keys import KEYS, with_key
from accounts.tests.page_queries import of_the_page
from accounts.tests.test_api_keys_admin import FORM, LIST, chief, clerk, in_admin, page_of
from caching.tests.conftest import ALIAS
from caching.tests.redis_server import RedisServer

__all__ = ["chief"]  # the fixture

pytestmark = pytest.mark.django_db(transaction=True)
SVG = re.compile(r"<svg .*?</svg>", re.DOTALL)
USAGE = re.compile(r'<div class="module" id="usage">.*?</div>', re.DOTALL)


@pytest.fixture(autouse=True)
def few_calls(settings: Any) -> None:
    """Plans that are soon used up."""
    settings.API_PLANS = {"default": "3/h, 100/d", "pro": "20/s, 10000/h"}


def resetting(key: ApiKey) -> str:
    return f"{LIST}{key.pk}/reset-limits/"


def usage_on(client: Client, key: ApiKey) -> str:
    response = client.get(page_of(key))
    assert response.status_code == 200
    found = USAGE.search(response.content.decode())
    assert found is not None
    return found[0]


def drawing_on(page: str) -> ET.Element:
    found = SVG.search(page)
    assert found is not None
    return ET.fromstring(found[0])  # noqa: S314


def cells(page: str) -> list[list[str]]:
    """The rows of all tables, without their markup."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [re.findall(r"<td>(.*?)</td>", row) for row in rows if "<td>" in row]


def left(key: ApiKey) -> list[int]:
    return [each.remaining for each in standing(key_caller(card_of(key))).standings]


def called(text: str, times: int) -> list[int]:
    client = with_key(text)
    return [client.get(KEYS).status_code for _ in range(times)]


def test_a_keys_page_shows_what_is_used_and_spends_nothing(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    assert "Plan default: takes calls." in usage_on(chief, key)
    assert cells(usage_on(chief, key)) == [["1 h", "0 of 3", "now"], ["1 d", "0 of 100", "now"]]
    assert "<p>None.</p>" in usage_on(chief, key)
    assert called(text, 2) == [200, 200]
    for _ in range(3):
        hour, day = cells(usage_on(chief, key))[:2]
        assert (hour[:2], day[:2]) == (["1 h", "2 of 3"], ["1 d", "2 of 100"])
        free = datetime.fromisoformat(hour[2]).replace(tzinfo=UTC)
        assert timedelta(minutes=59) < free - timezone.now() <= timedelta(minutes=60, seconds=1)
    called(text, 3)
    assert re.search(r"refuses calls for another 3(600|599) s", usage_on(chief, key))


def test_the_chart_shows_the_day_hour_by_hour(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    with time_machine.travel(1_764_000_000.0, tick=False) as clock:
        called(text, 5)
        clock.shift(2 * 3600)
        chief.force_login(User.objects.get(username="chief"))
        called(text, 1)
        page = usage_on(chief, key)
    drawing = drawing_on(page)
    titles = [each.text for each in drawing.findall("./g/title")]
    assert len(titles) == 24
    assert titles[-3:] == [
        "16:00: 3 allowed, 2 refused",
        "17:00: 0 allowed, 0 refused",
        "18:00: 0 allowed, 1 refused",
    ]
    bars = [
        (rect.get("fill"), rect.get("height"))
        for rect in drawing.findall("./g/rect")
        if rect.get("fill") != "none"
    ]
    assert bars == [
        ("var(--link-fg)", "39"),
        ("var(--error-fg)", "26"),
        ("var(--error-fg)", "13"),
    ]
    # For who does not see it: named, described, and told again in a table.
    described = {
        name: drawing.find(f"./*[@id='usage-{name}']") for name in ("title", "description")
    }
    assert drawing.get("role") == "img"
    assert drawing.get("aria-labelledby") == "usage-title usage-description"
    assert described["description"] is not None
    assert "3 calls were allowed and 3 refused" in str(described["description"].text)
    assert cells(page)[-3:] == [
        ["2025-11-24 16:00", "3", "2"],
        ["2025-11-24 17:00", "0", "0"],
        ["2025-11-24 18:00", "0", "1"],
    ]


@pytest.mark.parametrize("language", ["en-us", "de", "ar"])
def test_no_locale_breaks_the_drawing(
    chief: Client, ada: User, settings: Any, language: str
) -> None:
    settings.LANGUAGE_CODE = language
    settings.USE_THOUSAND_SEPARATOR = True
    key, text = create_key(user=ada, name="a key")
    called(text, 4)
    for element in drawing_on(usage_on(chief, key)).iter():
        for name in ("x", "y", "width", "height"):
            assert re.fullmatch(r"[0-9]+%?", element.get(name, "0"))


class _Inline(HTMLParser):
    """Collects what a CSP without `unsafe-inline` would not let be."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag] if tag in {"script", "style"} else []
        self.found += [name for name, _ in attrs if name == "style" or name.startswith("on")]


def test_it_needs_no_script_and_no_style(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    called(text, 4)
    inline = _Inline()
    inline.feed(usage_on(chief, key))
    assert inline.found == []


def test_a_button_asks_and_then_resets(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    other, others_text = create_key(user=ada, name="another")
    assert called(text, 4) == [200, 200, 200, 429]
    called(others_text, 1)
    assert resetting(key) in chief.get(page_of(key)).content.decode()
    asked = chief.get(resetting(key)).content.decode()
    assert f"Reset the limits of the API key a key ({key.prefix}) of ada?" in asked
    assert "Yes, reset" in asked
    assert left(key) == [0, 97]
    assert chief.post(resetting(key))["Location"] == page_of(key)
    assert (left(key), left(other)) == ([3, 100], [2, 99])
    assert called(text, 1) == [200]
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (key.pk, "Reset limits.")
    assert "Reset limits." in chief.get(f"{LIST}{key.pk}/history/").content.decode()
    assert cells(usage_on(chief, key))[-1][1:] == ["4", "1"]


def test_resetting_takes_csrf_and_permission(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    called(text, 3)
    strict = in_admin(User.objects.get(username="chief"), strict=True)
    looking = clerk("view_apikey")
    assert strict.post(resetting(key)).status_code == 403
    assert looking.post(resetting(key)).status_code == 403
    assert looking.get(resetting(key)).status_code == 403
    assert cells(usage_on(looking, key))[0][1] == "3 of 3"
    assert resetting(key) not in looking.get(page_of(key)).content.decode()
    assert Client().post(resetting(key))["Location"].startswith("/admin/login/")
    for method in ("put", "patch", "delete"):
        assert getattr(chief, method)(resetting(key)).status_code == 405
    assert left(key) == [0, 97]
    assert not LogEntry.objects.exists()


def test_what_is_no_key_has_no_page(chief: Client) -> None:
    for id in ("none", "key_%00", "%00", "key_" + "0" * 26, "_5F"):
        for method in (chief.get, chief.post):
            assert method(f"{LIST}{id}/reset-limits/").status_code == 404


def test_a_key_that_is_made_has_no_usage_yet(chief: Client) -> None:
    assert 'id="usage"' not in chief.get(f"{LIST}add/").content.decode()


def test_a_revoked_keys_day_is_still_shown(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    called(text, 2)
    revoke_keys(keys=ApiKey.objects.all())
    assert cells(usage_on(chief, key))[-1][1:] == ["2", "0"]


def test_a_key_on_a_plan_that_is_no_more_shows_which_one_counts(chief: Client, ada: User) -> None:
    key, _ = create_key(user=ada, name="a key")
    ApiKey.objects.update(plan="gone")
    assert "Plan default:" in usage_on(chief, key)


def test_a_form_that_is_refused_shows_the_limits_that_still_hold(chief: Client, ada: User) -> None:
    key, _ = create_key(user=ada, name="a key")
    answer = chief.post(page_of(key), {**FORM, "name": "", "plan": "pro"}).content.decode()
    assert "errorlist" in answer
    assert "Plan default: takes calls." in answer
    assert cells(answer)[0] == ["1 h", "0 of 3", "now"]


def test_nothing_that_opens_is_shown(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")
    called(text, 4)
    pages = [chief.get(url).content.decode() for url in (page_of(key), resetting(key))]
    pages.append(chief.post(resetting(key), follow=True).content.decode())
    for page in pages:
        for secret in (text, text[16:], digest_of(text)):
            assert secret not in page


def test_a_name_cannot_write_into_the_page(chief: Client, ada: User) -> None:
    key, _ = create_key(user=ada, name="<script>alert(1)</script>")
    for url in (page_of(key), resetting(key)):
        assert b"<script>alert" not in chief.get(url).content
    assert b"<script>alert" not in chief.post(resetting(key), follow=True).content


def test_the_page_costs_the_same_however_much_was_called(chief: Client, ada: User) -> None:
    key, text = create_key(user=ada, name="a key")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            usage_on(chief, key)
        return len(of_the_page(queries))

    cost()
    few = cost()
    called(text, 20)
    assert cost() == few


def test_without_redis_the_page_opens_and_says_so(
    ada: User, server: RedisServer, settings: Any
) -> None:
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    chief = in_admin(User.objects.create_superuser("chief"))
    key, text = create_key(user=ada, name="a key")
    called(text, 2)
    server.kill()
    page = usage_on(chief, key)
    assert "Redis does not answer, so what is used cannot be told now." in page
    assert "<svg" not in page
    assert resetting(key) not in chief.get(page_of(key)).content.decode()
    assert chief.get(resetting(key)).status_code == 200
    answer = chief.post(resetting(key), follow=True).content.decode()
    assert "Redis does not answer: try the reset again later." in answer
    assert not LogEntry.objects.exists()
    assert chief.post(page_of(key), {**FORM, "name": "better"}).status_code == 302
    assert ApiKey.objects.get().name == "better"
