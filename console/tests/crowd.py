"""A site's worth of rows, made by the database itself: 1,000,000 orders, 100,000 products, and the rest.

Promise: the same SQL on SQLite and PostgreSQL; rows are as the constraints want them, and ids as the apps
make them. Nothing is spread evenly: nearly all orders are of a few products, the last category has half of
them all, the last group all users, and the last user a tenth of the posts and nearly all users for followers.
Nothing is announced: no cache and no index knows of the rows.
On failure: what the database raises.
"""

from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from analytics.models import Order
from catalog.models import Product

PRODUCTS, ORDERS, PLACES, USERS, POSTS, FOLLOWS = (
    100_000,
    1_000_000,
    50_000,
    10_000,
    100_000,
    200_000,
)
CATEGORIES, HITS, GROUPS, LOGGED, WAITING = 200, 20, 100, 50_000, 20_000
PLACE, PRODUCT, ORDER, POST = (
    "place_000777",
    "prod_000777",
    "ord_0000777",
    "01jd0000000000000000000777",
)


def _digits(number: str, width: int) -> str:
    """`number` with zeros before it; no integer holds more than 18 digits."""
    zeros, digits = max(width - 9, 0), min(width, 9)
    return f"'{'0' * zeros}' || substr(cast({10**digits} + {number} as text), 2)"


# Every other one is the last.
CATEGORY = "'category-' || " + _digits(
    f"(case n % 2 when 0 then n / 2 % {CATEGORIES} else {CATEGORIES - 1} end)", 3
)


def _ago(seconds: str) -> str:
    if connection.vendor == "sqlite":
        return f"datetime('{timezone.now():%F %T}', (-({seconds})) || ' seconds')"
    return f"timestamptz '{timezone.now():%F %T}+00' - ({seconds}) * interval '1 second'"


def _day(moment: str) -> str:
    return f"date({moment})" if connection.vendor == "sqlite" else f"({moment})::date"


def _fill(cursor: Any, table: str, count: int, **columns: str) -> None:
    """Rows 0 to `count`; `columns`: expressions of n."""
    names = ", ".join(f'"{name}"' for name in columns)
    cursor.execute(
        f'insert into "{table}" ({names}) '  # noqa: S608
        f"with recursive rows(n) as (select 0 union all select n + 1 from rows where n + 1 < {count}) "
        f"select {', '.join(columns.values())} from rows"
    )


def make() -> User:
    """All rows, and a superuser who has done much."""
    chief = User.objects.create_superuser("chief")
    first = chief.pk + 1
    with transaction.atomic(), connection.cursor() as cursor:
        _people(cursor, first)
        _goods(cursor)
        _feeds(cursor, first)
        logged = ContentType.objects.get_for_model(Product).pk
        _fill(
            *(cursor, "django_admin_log", LOGGED),
            action_time=_ago("n * 60"),
            user_id=str(chief.pk),
            content_type_id=str(logged),
            object_id="'prod_' || " + _digits(f"n % {PRODUCTS}", 6),
            object_repr="'Product ' || n",
            action_flag="2",
            change_message="''",
        )
        _fill(
            *(cursor, "caching_pendinginvalidation", WAITING),
            subject="'catalog.product'",
            ids="'[\"prod_' || n || '\"]'",
            tags="'[]'",
            written_at=_ago("n * 10"),
        )
        if connection.vendor == "postgresql":
            cursor.execute(
                "select setval(pg_get_serial_sequence('accounts_user', 'id'), max(id)) from accounts_user"
            )
    # Half a minute less than with each order sorted into each index.
    with connection.schema_editor() as editor:
        for index in Order._meta.indexes:
            editor.remove_index(Order, index)
    with connection.cursor() as cursor:
        _orders(cursor)
    with connection.schema_editor() as editor:
        for index in Order._meta.indexes:
            editor.add_index(Order, index)
    with connection.cursor() as cursor:
        cursor.execute("analyze")
    return chief


def _people(cursor: Any, first: int) -> None:
    user = f"{first} + n % {USERS}"
    _fill(
        *(cursor, "accounts_user", USERS),
        id=f"{first} + n",
        password="'!'",
        is_superuser="(n < 0)",
        username="'user' || " + _digits("n", 5),
        first_name="'First ' || n",
        last_name="'Last ' || n",
        email="'user' || n || '@example.com'",
        is_staff="(n % 100 = 0)",
        is_active="(n % 50 <> 0)",
        date_joined=_ago("n * 3000"),
    )
    _fill(
        *(cursor, "accounts_session", USERS),
        id="'ses_' || " + _digits("n", 26),
        digest=_digits("n", 64),
        user_id=user,
        data="'{}'",
        metadata="'{}'",
        version="1",
        user_agent="'curl'",
        created_at=_ago("n"),
        last_seen_at=_ago("n / 100"),
        idle="900",
        idle_until=_ago("n / 100 - 900"),
        ends_at=_ago("n - 28800"),
    )
    _fill(
        *(cursor, "accounts_apikey", USERS),
        id="'key_' || " + _digits("n", 26),
        user_id=user,
        name="'Key ' || n",
        prefix=_digits("n", 8),
        digest=_digits("n", 64),
        plan="case n % 2 when 0 then 'default' else 'demo' end",
        scopes="'read'",
        created_at=_ago("n * 60"),
        revoked_at=f"case n % 10 when 0 then {_ago('n')} end",
    )
    _fill(cursor, "auth_group", GROUPS, name="'Group ' || n")
    cursor.execute("select min(id) from auth_group")
    (group,) = cursor.fetchone()
    for member_of in (f"{group} + n % {GROUPS - 1}", str(group + GROUPS - 1)):
        _fill(
            *(cursor, "accounts_user_groups", USERS),
            user_id=f"{first} + n",
            group_id=member_of,
        )
    permission = Permission.objects.order_by("pk").values_list("pk", flat=True)[0]
    _fill(
        *(cursor, "auth_group_permissions", GROUPS),
        group_id=f"{group} + n",
        permission_id=str(permission),
    )


def _goods(cursor: Any) -> None:
    _fill(
        *(cursor, "catalog_category", CATEGORIES),
        slug="'category-' || " + _digits("n", 3),
        name="'Category ' || n",
    )
    _fill(
        *(cursor, "catalog_product", PRODUCTS),
        id="'prod_' || " + _digits("n", 6),
        name="'Product ' || n",
        description="'Something of the kind ' || n % 97",
        price="1 + n % 500",
        stock="n % 20",
        is_active="(n % 20 <> 0)",
        created_at=_ago("n * 60"),
        updated_at=_ago("n * 7"),
        category_id=CATEGORY,
    )
    _fill(
        *(cursor, "places_place", PLACES),
        id="'place_' || " + _digits("n", 6),
        name="'Place ' || n",
        longitude="13.0 + (n % 250) / 1000.0",
        latitude="52.4 + (n / 250) / 1000.0",
        cuisine="case n % 10 when 0 then '' else 'cuisine' || n % 40 end",
        rating="(n % 51) / 10.0",
        metadata="'{}'",
        created_at=_ago("n * 60"),
        updated_at=_ago("n * 60"),
    )


def _orders(cursor: Any) -> None:
    # A year of them, 31 seconds apart, the newest last.
    moment = _ago(f"({ORDERS} - n) * 31")
    _fill(
        *(cursor, "analytics_order", ORDERS),
        id="'ord_' || " + _digits("n", 7),
        customer="'customer' || n % 9973",
        product="'prod_' || "
        + _digits(f"case n % 50 when 0 then n % {PRODUCTS} else n % {HITS} end", 6),
        category=CATEGORY,
        quantity="1",
        amount="100 + n % 9900",
        status="case n % 20 when 0 then 'refunded' when 1 then 'cancelled' "
        "when 2 then 'pending' else 'paid' end",
        created_at=moment,
        updated_at=moment,
        day=_day(moment),
        hour="n % 24",
    )


def _feeds(cursor: Any, first: int) -> None:
    author = f"{first} + n % {USERS}"
    last = first + USERS - 1
    _fill(
        *(cursor, "feeds_post", POSTS),
        id="'01jd0000' || " + _digits("n", 18),
        author_id=f"case n % 10 when 0 then {last} else {author} end",
        text="'Words of number ' || n",
        created_at=_ago("n"),
        updated_at=_ago("n"),
        deleted_at=f"case n % 25 when 0 then {_ago('n')} end",
    )
    # Each has to do with the next ones.
    for table, one, other, count in (
        ("feeds_follow", "follower_id", "followed_id", FOLLOWS),
        ("feeds_block", "blocker_id", "blocked_id", USERS),
        ("feeds_mute", "muter_id", "muted_id", USERS),
    ):
        columns = {
            one: author,
            other: f"{first} + (n % {USERS} + 1 + n / {USERS}) % {USERS}",
            "created_at": _ago("n * 60"),
        }
        _fill(cursor, table, count, **columns)
    # All but those who do already: the ones right before.
    columns = {"follower_id": author, "followed_id": str(last), "created_at": _ago("n")}
    _fill(cursor, "feeds_follow", USERS - 1 - FOLLOWS // USERS, **columns)
