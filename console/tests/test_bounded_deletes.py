"""Delete pages of rows that more refers to than a page lists; see rest/bounded_deletes.py.

On failure: the name of the test is the rule that broke.
"""

import pytest
from django.test import Client

from accounts.models import User
from catalog.models import Category, Product
from console.tests.conftest import Colleague
from feeds.models import Post
from rest import bounded_deletes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def address(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The delete page of an author of three posts, where two rows are too many to list."""
    monkeypatch.setattr(bounded_deletes, "MOST", 2)
    author = User.objects.create_user("author")
    for number in range(3):
        Post.objects.create(author=author, text=f"words {number}")
    return f"/admin/accounts/user/{author.pk}/delete/"


def test_of_what_goes_along_the_page_says_how_much_and_it_goes(chief: Client, address: str) -> None:
    page = chief.get(address).content.decode()
    assert "<li>3 posts</li>" in page
    assert "<li>Posts: 3</li>" in page
    assert "words 1" not in page
    assert chief.post(address, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(username="author").exists()
    assert not Post.objects.exists()


def test_up_to_the_bound_each_row_is_listed(
    chief: Client, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The posts, and how many follow their author.
    monkeypatch.setattr(bounded_deletes, "MOST", 4)
    assert chief.get(address).content.decode().count("/admin/feeds/post/") >= 3


def test_who_may_not_delete_what_goes_along_deletes_nothing(
    colleague: Colleague, address: str
) -> None:
    client = colleague("view_user", "delete_user")
    assert "post" in client.get(address).context["perms_lacking"]
    assert client.post(address, {"post": "yes"}).status_code == 403
    assert Post.objects.count() == 3


def test_what_stands_in_the_way_is_counted_too(
    chief: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_deletes, "MOST", 2)
    shelf = Category.objects.create(slug="shelf", name="Shelf")
    for number in range(3):
        Product.objects.create(id=f"prod_{number}", name="Ice", price="1.00", category=shelf)
    address = "/admin/catalog/category/shelf/delete/"
    page = chief.get(address).content.decode()
    assert "<li>3 products</li>" in page
    assert 'name="post" value="yes"' not in page
    chief.post(address, {"post": "yes"})
    assert Category.objects.filter(slug="shelf").exists()
