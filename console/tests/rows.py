"""Many rows of every model that the admin shows, made as plainly as they can be.

Promise: no two rows share what they refer to, so a query a row cannot hide behind one that was asked before.
On failure: KeyError for a model that is not here: whoever registers one adds it.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.utils import timezone

from accounts.key_services import create_key
from accounts.models import ApiKey, User
from analytics import dashboards
from analytics.models import Order
from analytics.tables import Watermark
from caching.models import PendingInvalidation
from catalog.models import Category, Product
from feeds import services
from feeds.models import Block, Follow, Mute, Post
from places.models import Place


def _users(numbers: range, prefix: str) -> list[User]:
    return [User.objects.create_user(f"{prefix}{number}") for number in numbers]


def users(numbers: range) -> None:
    """Users, each of a group of their own."""
    for user in _users(numbers, "user"):
        user.groups.add(Group.objects.create(name=f"of {user}"))


def groups(numbers: range) -> None:
    """Groups, each with a permission."""
    permissions = list(Permission.objects.all())
    for number in numbers:
        Group.objects.create(name=f"group {number}").permissions.add(
            permissions[number % len(permissions)]
        )


def keys(numbers: range) -> None:
    """Keys, each of an owner of its own."""
    for owner in _users(numbers, "owner"):
        create_key(user=owner, name="a key", plan="default", scopes=["read"])


def categories(numbers: range) -> None:
    """Categories."""
    for number in numbers:
        Category.objects.create(slug=f"category-{number}", name=f"Category {number}")


def products(numbers: range) -> None:
    """Products, each in a category of its own."""
    for number in numbers:
        category = Category.objects.create(slug=f"shelf-{number}", name=f"Shelf {number}")
        Product.objects.create(
            id=f"prod_row{number}", name=f"Product {number}", price="1.00", category=category
        )


def posts(numbers: range) -> None:
    """Posts, each by an author of its own."""
    for author in _users(numbers, "author"):
        Post.objects.create(author=author, text="hello")


def _pairs(make: Callable[..., bool], one: str, other: str) -> Callable[[range], None]:
    def rows(numbers: range) -> None:
        for left, right in zip(_users(numbers, one), _users(numbers, other), strict=True):
            make(**{one: left.pk, other: right.pk})

    return rows


def places(numbers: range) -> None:
    """Places."""
    for number in numbers:
        Place.objects.create(
            id=f"place_row{number}",
            name=f"Place {number}",
            latitude=52 + number / 100,
            longitude=13.0,
            cuisine=f"cuisine{number}",
        )


def orders(numbers: range) -> None:
    """Orders."""
    for number in numbers:
        Order.objects.create(
            id=f"ord_row{number}",
            customer=f"customer{number}",
            product=f"prod_{number}",
            category="",
            quantity=1,
            amount="1.00",
            status="paid",
            created_at=timezone.now() - timedelta(days=number),
        )


def watermarks(numbers: range) -> None:
    """The dashboards that there are."""
    for dashboard in dashboards.everyone():
        Watermark.objects.get_or_create(dashboard=dashboard.name)


def pending(numbers: range) -> None:
    """Rows of the outbox."""
    for number in numbers:
        PendingInvalidation.objects.create(
            subject=f"subject{number}", ids=json.dumps([f"id{number}"]), tags="[]"
        )


ROWS: dict[type[Model], Callable[[range], Any]] = {
    User: users,
    Group: groups,
    ApiKey: keys,
    Category: categories,
    Product: products,
    Post: posts,
    Follow: _pairs(services.follow, "follower", "followed"),
    Block: _pairs(services.block, "blocker", "blocked"),
    Mute: _pairs(services.mute, "muter", "muted"),
    Place: places,
    Order: orders,
    Watermark: watermarks,
    PendingInvalidation: pending,
}
