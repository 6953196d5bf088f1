"""Random querysets of the kinds that the apps, the admin and DRF filters use, and the rows they ask for.

Promises: a question is a function of its seed alone; its answer is in an order of its own, or none matters.
On failure: what the database raises.
"""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, F, Max, Min, Q, QuerySet, Sum

from analytics.models import Order, RefreshRun, Status, Watermark
from catalog.models import Category, Product

START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ["ice", "tea", "a.b", "50%", "x_y", "(z", "", "it's", "new\nline", "\\d", "co", "nut"]
Answer = Callable[[str], Any]


def _moment(rng: random.Random) -> datetime:
    return START + timedelta(days=rng.randrange(40), microseconds=rng.randrange(10**9) * 86)


def populate(using: str, seed: int = 0) -> None:
    """The same rows in any database."""
    rng = random.Random(seed)
    names = [f"c{number}" for number in range(7)]
    Category.objects.using(using).bulk_create(
        [Category(slug=slug, name=rng.choice(WORDS) or "none") for slug in names]
    )
    products = [
        Product(
            id=f"prod_{number:03}",
            name=" ".join(rng.choices(WORDS, k=2)).strip() or "plain",
            description=rng.choice(WORDS),
            price=Decimal(rng.randrange(2000)) / 100,
            category_id=rng.choice(names[:-1]),
            stock=rng.choice([0, 0, 1, 2, 5, 50]),
            is_active=rng.random() < 0.7,
        )
        for number in range(80)
    ]
    Product.objects.using(using).bulk_create(products)
    Product.objects.using(using).update(updated_at=START)
    Order.objects.using(using).bulk_create([_order(rng, number) for number in range(120)])
    Watermark.objects.using(using).bulk_create([_watermark(rng, number) for number in range(30)])
    RefreshRun.objects.using(using).bulk_create([_run(rng, number) for number in range(30)])


def _order(rng: random.Random, number: int) -> Order:
    return Order(
        id=f"ord_{number:03}",
        customer=rng.choice(["ada", "bob", "eve"]),
        product=f"prod_{rng.randrange(90):03}",
        category=rng.choice(["", "c0", "c1", "c2"]),
        quantity=rng.randrange(1, 9),
        amount=Decimal(rng.randrange(9999)) / 100,
        status=rng.choice(Status.values),
        created_at=_moment(rng),
    )


def _watermark(rng: random.Random, number: int) -> Watermark:
    return Watermark(
        dashboard=f"d{number:02}",
        version=rng.randrange(4),
        generated_at=rng.choice([None, _moment(rng)]),
        until=rng.choice([None, START.date() + timedelta(days=rng.randrange(5))]),
        failures=rng.randrange(3),
        retry_at=rng.choice([None, _moment(rng)]),
    )


def _run(rng: random.Random, number: int) -> RefreshRun:
    begun = _moment(rng)
    # By hand, as the two databases have given out other ids before.
    return RefreshRun(
        id=number + 1,
        dashboard=rng.choice(["d01", "d02", "d77"]),
        started_at=begun,
        ended_at=begun + timedelta(microseconds=rng.randrange(10**6)),
        full=rng.random() < 0.5,
        buckets=rng.randrange(5),
        outcome=rng.choice(["done", "failed"]),
    )


# A model, its columns by kind, and those that may be null.
TEXT = {
    Product: ["id", "name", "description"],
    Order: ["id", "customer", "product", "category", "status"],
    Watermark: ["dashboard", "totalled"],
    RefreshRun: ["dashboard", "outcome"],
}
WHOLE = {
    Product: ["stock"],
    Order: ["quantity", "hour"],
    Watermark: ["version", "failures"],
    RefreshRun: ["buckets", "id"],
}
MOMENTS = {
    Product: ["updated_at"],
    Order: ["created_at"],
    Watermark: ["generated_at", "retry_at"],
    RefreshRun: ["started_at", "ended_at"],
}
DAYS = {Product: [], Order: ["day"], Watermark: ["until"], RefreshRun: []}
TRUTHS = {Product: ["is_active"], Order: [], Watermark: [], RefreshRun: ["full"]}
MONEY = {Product: ["price"], Order: ["amount"], Watermark: [], RefreshRun: []}
NULLS = {Watermark: ["generated_at", "until", "retry_at"]}
MODELS = [Product, Order, Watermark, RefreshRun]


def condition(rng: random.Random, model: Any, depth: int = 2) -> Q:
    """A filter."""
    if depth and rng.random() < 0.55:
        left, right = condition(rng, model, depth - 1), condition(rng, model, depth - 1)
        both = left & right if rng.random() < 0.5 else left | right
        return ~both if rng.random() < 0.25 else both
    leaf = Q(**dict([_leaf(rng, model)]))
    return ~leaf if rng.random() < 0.25 else leaf


def _leaf(rng: random.Random, model: Any) -> tuple[str, Any]:
    kinds = [kind for kind in (TEXT, WHOLE, MOMENTS, DAYS, TRUTHS, MONEY, NULLS) if kind.get(model)]
    kind = rng.choice(kinds)
    name = rng.choice(kind[model])
    if kind is NULLS:
        return f"{name}__isnull", rng.random() < 0.5
    if kind is TRUTHS:
        return name, rng.random() < 0.5
    value = _value(rng, kind)
    if kind is TEXT:
        found = [
            "exact",
            "contains",
            "icontains",
            "startswith",
            "istartswith",
            "endswith",
            "iexact",
            "gt",
            "in",
        ]
        lookup = rng.choice(found)
    else:
        lookup = rng.choice(["exact", "gt", "gte", "lt", "lte", "in", "range"])
    if lookup == "in":
        return f"{name}__in", [_value(rng, kind) for _ in range(rng.randrange(4))]
    if lookup == "range":
        return f"{name}__range", sorted([value, _value(rng, kind)])
    return f"{name}__{lookup}", value


def _value(rng: random.Random, kind: Any) -> Any:
    if kind is TEXT:
        some = [*WORDS, "ada", "c1", "d01", "prod_010", "paid", "done", "prod_", "ord_05"]
        return rng.choice(some)
    if kind is WHOLE:
        return rng.randrange(-1, 9)
    if kind is MOMENTS:
        return rng.choice([START, _moment(rng)])
    if kind is DAYS:
        return date(2026, 1, 1) + timedelta(days=rng.randrange(40))
    return Decimal(rng.randrange(9999)) / 100


def ordered(rng: random.Random, rows: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """In an order without ties."""
    model = rows.model
    kind = rng.choice([kind for kind in (TEXT, WHOLE, MOMENTS, MONEY, NULLS) if kind.get(model)])
    name = rng.choice(kind[model])
    by: Any = rng.choice([name, f"-{name}"])
    if rng.random() < 0.2:
        by = rng.choice([F(name).asc(nulls_last=True), F(name).desc(nulls_first=True)])
    return rows.order_by(by, rng.choice(["pk", "-pk"]))


def _sliced(rng: random.Random, rows: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    low = rng.choice([0, 0, 3])
    return rows[low : low + rng.randrange(1, 12)] if rng.random() < 0.6 else rows


def common(seed: int) -> Answer:
    """What the apps, the admin and DRF filters ask."""
    rng = random.Random(seed)
    model: Any = rng.choice(MODELS)
    where, kind, name = condition(rng, model), rng.randrange(9), rng.choice(WHOLE[model])
    state = rng.getstate()

    def answer(using: str) -> Any:
        rng.setstate(state)
        rows = model.objects.using(using).filter(where)
        fields = [
            f.attname
            for f in model._meta.concrete_fields
            if f.name not in {"created_at", "updated_at"}
        ]
        match kind:
            case 0:
                return rows.count()
            case 1:
                return rows.exists()
            case 2:
                return plain(
                    rows.aggregate(Sum(name), Avg(name), Min("pk"), Max(name), n=Count("*"))
                )
            case 3:
                by = rng.choice(TEXT[model])
                return list(
                    rows.order_by().values_list(by).annotate(Count("pk"), Sum(name)).order_by(by)
                )
            case 4:
                return list(rows.order_by().values_list(name, flat=True).distinct().order_by(name))
            case 5 if model is Product:
                return list(
                    rows.select_related("category")
                    .order_by("pk")
                    .values_list("pk", "category__name")
                )
            case 5 if MONEY[model]:
                return plain(rows.aggregate(Sum(MONEY[model][0]), Min(MONEY[model][0])))
            case 6 if MOMENTS[model]:
                return [each.date() for each in rows.datetimes(MOMENTS[model][0], "day")]
            case 7:
                return rows.order_by(name, "pk").values_list("pk", name).last()
        return list(_sliced(rng, ordered(rng, rows)).values_list(*fields))

    return answer


def plain(value: Any) -> Any:
    """With numbers that are no whole ones to nine digits, as SQLite counts money in binary."""
    if isinstance(value, QuerySet):
        value = list(value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, float | Decimal):
        near = float(value)
        return "0" if abs(near) < 1e-9 else f"{near:.9g}"
    return value
