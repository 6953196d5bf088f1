"""The walk of somebody who runs the site, from the login to the logout of another, in a real browser.

Promises tested: every step does what it says, no page complains of anything, asks another machine, or has
what axe-core finds serious; pictures of the pages are kept. On failure: the step is the line that fails.
"""

import re
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from playwright.sync_api import expect

from accounts.key_services import create_key
from accounts.models import ApiKey
from catalog.models import Category, Product
from console.tests.browser import DESK, PASSWORD, Visitor, visitor
from places.models import Place

PICTURES = settings.HEADWATER_HOME / "screenshots"
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def tea(transactional_db: None) -> Product:
    """A product."""
    shelf = Category.objects.create(slug="tea", name="Tea")
    return Product.objects.create(id="prod_tea", name="Green Tea", price="4.50", category=shelf)


@pytest.fixture
def load(window: Visitor, tea: Product) -> Iterator[None]:
    """Somebody reads a product by the API, again and again."""
    owner = get_user_model().objects.create_user("reader")
    _, key = create_key(user=owner, name="load", plan="demo", scopes=["read"])
    connection = HTTPConnection(urlsplit(window.address).netloc)
    enough = Event()

    def read() -> None:
        while not enough.wait(0.02):
            connection.request("GET", f"/api/v1/products/{tea.pk}/", headers={"X-API-Key": key})
            assert connection.getresponse().read()

    thread = Thread(target=read)
    thread.start()
    yield
    enough.set()
    thread.join()
    connection.close()


@pytest.fixture
def judge(window: Visitor) -> Callable[[str], None]:
    """Takes a picture of the page that is open, and asks axe-core about it."""
    PICTURES.mkdir(parents=True, exist_ok=True)

    def judged(name: str) -> None:
        window.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        assert window.judged() == [], name

    return judged


def test_the_scoreboard_moves_while_load_runs(
    window: Visitor, load: None, judge: Callable[[str], None]
) -> None:
    hits = window.page.locator("#reads--catalog--L1")
    expect(hits).not_to_have_text("0")
    first = hits.inner_text()
    expect(hits).not_to_have_text(first)
    judge("scoreboard")
    window.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    judge("scoreboard-phone")


def test_a_product_is_evicted_on_its_page(
    window: Visitor, tea: Product, judge: Callable[[str], None]
) -> None:
    page = window.open(f"/admin/catalog/product/{tea.pk}/change/")
    page.get_by_role("button", name="Warm in the caches").click()
    expect(page.get_by_text("L2, Redis: updated")).to_be_visible()
    judge("product")
    page.get_by_role("button", name="Evict from the caches").click()
    expect(page.get_by_text("Evicted from the caches.")).to_be_visible()
    expect(page.get_by_text("L2, Redis: nothing")).to_be_visible()


def test_products_are_evicted_in_the_list_after_a_question(
    window: Visitor, tea: Product, judge: Callable[[str], None]
) -> None:
    page = window.open("/admin/catalog/product/")
    page.locator("[name=_selected_action][value=prod_tea]").check()
    page.get_by_label("Action:").select_option("evict_selected")
    judge("products")
    page.get_by_role("button", name="Go").click()
    judge("products-evict")
    page.get_by_role("button", name="Yes, evict").click()
    expect(page.get_by_text("Evicted 1 products.")).to_be_visible()


def test_a_key_is_made_shown_once_and_revoked(
    window: Visitor, judge: Callable[[str], None]
) -> None:
    page = window.open("/admin/accounts/apikey/add/")
    page.locator(".field-user .select2-selection").click()
    page.locator(".select2-search__field").fill("chi")
    page.get_by_role("option", name="chief").click()
    page.get_by_label("Name:").fill("a walk")
    judge("key-add")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#key")).to_have_text(re.compile("^hw_"))
    judge("key-issued")
    page.get_by_role("link", name="I have it").click()
    judge("key")
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Yes, revoke").click()
    expect(page.locator(".messagelist")).to_contain_text("Revoked")
    assert ApiKey.objects.get(name="a walk").revoked_at is not None


def test_a_dashboard_is_refreshed_and_its_chart_seen(
    window: Visitor, judge: Callable[[str], None]
) -> None:
    page = window.open("/admin/analytics/watermark/revenue/change/")
    page.get_by_role("button", name="Refresh now").click()
    expect(page.locator(".messagelist .success", has_text="recomputed")).to_be_visible()
    expect(page.locator(".dashboard-chart canvas")).to_be_visible()
    judge("dashboard")


def test_a_pin_is_dragged(window: Visitor, judge: Callable[[str], None]) -> None:
    Place.objects.create(id="place_cafe", name="Café", latitude=52.5, longitude=13.4)
    page = window.open("/admin/places/place/place_cafe/change/")
    pin = page.get_by_alt_text("The pin: arrow keys move it")
    judge("place")
    pin.scroll_into_view_if_needed()
    box = pin.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 80, box["y"] + 40, steps=8)
    page.mouse.up()
    moved = float(page.get_by_label("Longitude:").input_value())
    assert moved > 13.4
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert Place.objects.get().longitude == pytest.approx(moved)


def test_a_session_is_revoked_and_the_other_browser_is_logged_out(
    window: Visitor, chromium: Any, judge: Callable[[str], None]
) -> None:
    user = get_user_model().objects.create_user("other", password=PASSWORD, is_staff=True)
    with visitor(chromium, window.address, viewport=DESK) as other:
        other.log_in("other", PASSWORD)
        expect(other.page.get_by_role("button", name="Log out")).to_be_visible()
        page = window.open(f"/admin/accounts/user/{user.pk}/change/")
        judge("user")
        page.locator("#sessions").get_by_role("link", name="Revoke", exact=True).click()
        judge("session-revoke")
        page.get_by_role("button", name="Yes, revoke").click()
        expect(page.locator(".messagelist")).to_contain_text("Revoked session")
        other.page.reload()
        expect(other.page.get_by_label("Username:")).to_be_visible()


def test_every_list_and_form_of_the_admin_is_sound(window: Visitor) -> None:
    call_command("refresh_dashboards", verbosity=0)
    window.open("/admin/")
    links = window.page.locator("#content-main .module th a")
    paths = [link.get_attribute("href") for link in links.all()]
    assert len(paths) > 10
    for path in paths:
        page = window.open(str(path))
        assert window.judged() == [], path
        add = page.locator(".object-tools a.addlink")
        if add.count():
            add.click()
            assert window.judged() == [], page.url
