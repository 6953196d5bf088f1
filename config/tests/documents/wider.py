"""Querysets that anybody may ask, one function a kind: expressions, joins, groups, subqueries, updates.

Promises: a question is a function of its seed alone; its answer is in an order without ties; an update is
undone. What of it an engine refuses is counted by the names of these functions, which docs/mongodb.md and
docs/djongo.md list.
On failure: what the database raises.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models, transaction
from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    StdDev,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models import functions as fn

from analytics.models import Order, RefreshRun, Watermark
from catalog.models import Category, Product
from config.tests.documents.questions import (
    DAYS,
    MOMENTS,
    MONEY,
    NULLS,
    START,
    TEXT,
    WHOLE,
    WORDS,
    Answer,
    condition,
    plain,
)  # fmt: skip

Rows = Any
Kind = Callable[[random.Random, Rows, str], Any]
KINDS: list[Kind] = []

WHOLE_NUMBER: Any = models.IntegerField()
TEXTUAL: Any = models.CharField(max_length=200)
MONEYED: Any = models.DecimalField(max_digits=20, decimal_places=4)


def kind(function: Kind) -> Kind:
    KINDS.append(function)
    return function


def wider(seed: int) -> Answer:
    """A question of some kind; `answer.kind` is its name."""
    rng = random.Random(seed)
    made = rng.choice(KINDS)
    state = rng.getstate()

    def answer(using: str) -> Any:
        rng.setstate(state)
        model: Any = rng.choice([Product, Product, Order, Order, Watermark, RefreshRun])
        rows = model.objects.using(using)
        if rng.random() < 0.7:
            rows = rows.filter(condition(rng, model, rng.randrange(3)))
        return plain(made(rng, rows.order_by("pk"), using))

    answer.kind = made.__name__  # type: ignore[attr-defined]
    return answer


def _whole(rng: random.Random, model: Any) -> str:
    return rng.choice([name for name in WHOLE[model] if name != "id"])


def _text(rng: random.Random, model: Any) -> str:
    return rng.choice(TEXT[model])


def _nullable(rng: random.Random, rows: Rows, using: str) -> tuple[Rows, str, Any]:
    """Rows that have a nullable column, its name, and a value to compare it with."""
    name = rng.choice(NULLS[Watermark])
    other = START.date() if name == "until" else START
    return Watermark.objects.using(using).order_by("pk"), name, other


def _open(rng: random.Random, model: Any) -> Q:
    """A condition that is not plainly false: comparisons with that Django answers wrongly on SQLite."""
    while "in', [])" in str(where := condition(rng, model, 1)):
        pass
    return where


def number(rng: random.Random, model: Any, depth: int = 2) -> Any:
    """An expression that is a whole number or null."""
    made = _number(rng, model, depth)
    return models.ExpressionWrapper(made, output_field=WHOLE_NUMBER) if depth else made


def _number(rng: random.Random, model: Any, depth: int) -> Any:  # noqa: C901, PLR0911 - a kind a case
    name = _whole(rng, model)
    if not depth:
        return rng.choice([F(name), F(name), Value(rng.randrange(-2, 6))])
    one = number(rng, model, depth - 1)
    match rng.randrange(10):
        case 0:
            return one + number(rng, model, depth - 1)
        case 1:
            return one - number(rng, model, depth - 1)
        case 2:
            return one * rng.randrange(4)
        case 3:
            where = condition(rng, model, 1)
            default = rng.choice([Value(None), Value(3)])
            return Case(When(where, then=one), default=default, output_field=WHOLE_NUMBER)
        case 4:
            return fn.Coalesce(fn.NullIf(one, Value(rng.randrange(3))), Value(7))
        case 5:
            return fn.Abs(one)
        case 6:
            return fn.Length(_text(rng, model))
        case 7:
            return fn.NullIf(one, Value(rng.randrange(3)))
        case 8:
            return fn.Greatest(one, Value(rng.randrange(3)))
    return fn.Least(one, F(_whole(rng, model)))


def text(rng: random.Random, model: Any, depth: int = 1) -> Any:
    """An expression that is text or null."""
    made = _any_text(rng, model, depth)
    return models.ExpressionWrapper(made, output_field=TEXTUAL)


def _any_text(rng: random.Random, model: Any, depth: int) -> Any:  # noqa: PLR0911 - likewise
    # Of one kind of field: Django mixes none in an expression.
    name = rng.choice([name for name in TEXT[model] if name not in {"description", "totalled"}])
    if not depth:
        return F(name)
    one = text(rng, model, depth - 1)
    match rng.randrange(8):
        case 0:
            return fn.Upper(one)
        case 1:
            return fn.Lower(one)
        case 2:
            return fn.Concat(one, Value("/"), name)
        case 3:
            return fn.Coalesce(fn.NullIf(one, Value(rng.choice(WORDS))), Value("none"))
        case 4:
            return fn.NullIf(one, Value(rng.choice(["ada", "", "c1", "ice"])))
        case 5:
            some = condition(rng, model, 0)
            return Case(When(some, then=one), default=Value(None), output_field=TEXTUAL)
        case 6:
            return fn.Concat(fn.Cast(_whole(rng, model), TEXTUAL), one)
    return one


# Filters and columns.


@kind
def arithmetic(rng: random.Random, rows: Rows, using: str) -> Any:
    found = rows.annotate(x=number(rng, rows.model))
    compared = rng.choice(["gt", "lte", "exact", "lt", "gte"])
    where = Q(**{f"x__{compared}": rng.randrange(5)})
    found = found.filter(where) if rng.random() < 0.5 else found.exclude(where)
    return found.values_list("pk", "x")


@kind
def division_and_rest(rng: random.Random, rows: Rows, using: str) -> Any:
    name, by = _whole(rng, rows.model), rng.choice([Value(3), Value(2), F(_whole(rng, rows.model))])
    column: Any = F(name)
    return rows.annotate(x=column / by, y=column % by).values_list("pk", "x", "y")


@kind
def compared_columns(rng: random.Random, rows: Rows, using: str) -> Any:
    lookup = rng.choice(["gt", "lte", "exact"])
    where = Q(**{f"{_whole(rng, rows.model)}__{lookup}": number(rng, rows.model, 1)})
    return rows.filter(~where if rng.random() < 0.4 else where).values_list("pk")


@kind
def nulls_compared(rng: random.Random, rows: Rows, using: str) -> Any:
    rows, name, other = _nullable(rng, rows, using)
    one = Q(**{f"{name}__{rng.choice(['gt', 'lte', 'exact', 'lt'])}": other})
    two = Q(version__gt=rng.randrange(4))
    where = rng.choice([one, ~one, one | two, ~(one & two), ~one & ~two, ~(one | ~two), one ^ two])
    if name != "until" and rng.random() < 0.4:
        where &= ~Q(**{f"{name}__lt": F("retry_at" if name == "generated_at" else "generated_at")})
    return rows.filter(where).values_list("pk", name)


@kind
def exclusive_or(rng: random.Random, rows: Rows, using: str) -> Any:
    some = [condition(rng, rows.model, 1) for _ in range(rng.choice([2, 3, 4]))]
    where = some[0]
    for each in some[1:]:
        where ^= each
    return rows.filter(~where if rng.random() < 0.3 else where).values_list("pk")


@kind
def texts(rng: random.Random, rows: Rows, using: str) -> Any:
    found = rows.annotate(x=text(rng, rows.model))
    lookup = rng.choice(["icontains", "istartswith", "exact", "gt", "iendswith", "iexact"])
    where = Q(**{f"x__{lookup}": rng.choice(WORDS)})
    found = found.filter(where) if rng.random() < 0.5 else found.exclude(where)
    return found.values_list("pk", "x")


@kind
def text_functions(rng: random.Random, rows: Rows, using: str) -> Any:
    name: Any = _text(rng, rows.model).replace("description", "name")
    at = rng.randrange(1, 5)
    word = Value(rng.choice([word for word in WORDS if word]))
    if rng.random() < 0.3:
        name = fn.NullIf(fn.Cast(name, TEXTUAL), Value(rng.choice(["ada", "", "c1", "ice"])))
    made: Any = rng.choice([
        fn.Substr(name, at), fn.Substr(name, at, rng.randrange(1, 4)), fn.Left(name, at),
        fn.Right(name, at), fn.Trim(name), fn.LTrim(name), fn.RTrim(name),
        fn.Replace(name, word, Value("+")), fn.StrIndex(name, word), fn.Repeat(name, at),
        fn.Reverse(name), fn.LPad(name, 12, Value("*")), fn.RPad(name, 12), fn.Ord(name),
        fn.MD5(name), fn.SHA256(name), fn.Chr(F(_whole(rng, rows.model)) + 65),
    ])  # fmt: skip
    return rows.annotate(x=made).values_list("pk", "x")


@kind
def patterns(rng: random.Random, rows: Rows, using: str) -> Any:
    pattern = rng.choice(
        ["^i", "e$", "[ac]", "t.*e", r"\d", "a|b", r"^\w+ \w+$", "(x|y)_", "ICE", "x{2}"]
    )
    where = Q(**{f"{_text(rng, rows.model)}__{rng.choice(['regex', 'iregex'])}": pattern})
    return rows.filter(~where if rng.random() < 0.3 else where).values_list("pk")


@kind
def patterns_of_expressions(rng: random.Random, rows: Rows, using: str) -> Any:
    lookup = rng.choice(["icontains", "istartswith", "iendswith", "iexact"])
    where = Q(**{f"{_text(rng, rows.model)}__{lookup}": F(_text(rng, rows.model))})
    return rows.filter(where).values_list("pk")


@kind
def patterns_of_numbers(rng: random.Random, rows: Rows, using: str) -> Any:
    lookup = rng.choice(["icontains", "istartswith", "iendswith"])
    return rows.filter(**{f"{_whole(rng, rows.model)}__{lookup}": "1"}).values_list("pk")


@kind
def rounding(rng: random.Random, rows: Rows, using: str) -> Any:
    name = _whole(rng, rows.model)
    half = F(name) / Value(2.0, output_field=models.FloatField())
    x: Any = models.ExpressionWrapper(half, output_field=models.FloatField())
    made = rng.choice([fn.Round, fn.Ceil, fn.Floor, fn.Abs, fn.Sign])
    return rows.annotate(x=made(x)).values_list("pk", "x")


@kind
def rounded_money(rng: random.Random, rows: Rows, using: str) -> Any:
    model: Any = rng.choice([Product, Order])
    rows = model.objects.using(using).order_by("pk")
    name = MONEY[rows.model][0]
    made = rng.choice([fn.Round(name), fn.Round(name, precision=1), fn.Ceil(name), fn.Floor(name)])
    return rows.annotate(x=made).values_list("pk", "x")


@kind
def mathematics(rng: random.Random, rows: Rows, using: str) -> Any:
    name = _whole(rng, rows.model)
    made: Any = rng.choice([
        fn.Sqrt(fn.Abs(name)), fn.Power(name, 2), fn.Exp(name), fn.Sin(name), fn.Cos(name),
        fn.Ln(fn.Abs(name) + 1), fn.Log(2, fn.Abs(name) + 1), fn.Mod(name, 3), fn.ATan(name),
        fn.Degrees(name), fn.Radians(name), fn.Pi(),
    ])  # fmt: skip
    return rows.annotate(x=made).values_list("pk", "x")


@kind
def operators(rng: random.Random, rows: Rows, using: str) -> Any:
    name = _whole(rng, rows.model)
    made: Any = rng.choice([
        F(name).bitand(3), F(name).bitor(4), F(name).bitxor(5), F(name).bitleftshift(1),
        F(name).bitrightshift(1), F(name) ** 2,
    ])  # fmt: skip
    return rows.annotate(x=made).values_list("pk", "x")


@kind
def money(rng: random.Random, rows: Rows, using: str) -> Any:
    model: Any = rng.choice([Product, Order])
    rows = model.objects.using(using).order_by("pk")
    name, whole = MONEY[rows.model][0], _whole(rng, rows.model)
    made: Any = rng.choice([
        F(name) * F(whole), F(name) + Decimal("1.25"), F(name) * Decimal("0.5"), F(name) - F(whole),
        F(name) + F(name), F(name) / Decimal("4.5"),
    ])  # fmt: skip
    found = rows.annotate(x=models.ExpressionWrapper(made, output_field=MONEYED))
    return found.filter(x__gt=Decimal(rng.randrange(90))).values_list("pk", "x")


@kind
def casts(rng: random.Random, rows: Rows, using: str) -> Any:
    whole, wanted = _whole(rng, rows.model), rng.randrange(6)
    cast: Any = [
        fn.Cast(whole, TEXTUAL),
        fn.Cast(whole, models.FloatField()),
        fn.Cast(fn.Cast(whole, TEXTUAL), WHOLE_NUMBER),
        fn.Cast(_text(rng, rows.model), WHOLE_NUMBER),
        fn.Cast(_text(rng, rows.model), models.TextField()),
        fn.Cast(whole, models.DecimalField(max_digits=9, decimal_places=2)),
    ][wanted]
    return rows.annotate(x=cast).values_list("pk", "x")


@kind
def casts_of_moments(rng: random.Random, rows: Rows, using: str) -> Any:
    name = rng.choice(MOMENTS[rows.model])
    wanted = rng.choice([models.DateField(), models.TimeField(), TEXTUAL])
    return (
        rows.filter(**{f"{name}__isnull": False})
        .annotate(x=fn.Cast(name, wanted))
        .values_list("pk", "x")
    )


@kind
def choices(rng: random.Random, rows: Rows, using: str) -> Any:
    made = Case(
        When(condition(rng, rows.model, 1), then=Value(1)),
        When(condition(rng, rows.model, 1), then=number(rng, rows.model, 1)),
        default=rng.choice([Value(None), Value(9)]),
        output_field=WHOLE_NUMBER,
    )
    match rng.randrange(3):
        case 0:
            return rows.order_by(made, "pk").values_list("pk")
        case 1:
            return rows.annotate(x=made).exclude(x=1).order_by("x", "pk").values_list("pk", "x")
    found = rows.filter(**{_whole(rng, rows.model): made}).annotate(x=made)
    return found.order_by(F("x").desc(nulls_last=True), "pk").values_list("pk", "x")


@kind
def conditions_as_columns(rng: random.Random, rows: Rows, using: str) -> Any:
    where = _open(rng, rows.model)
    if rows.model is Watermark:
        _, name, other = _nullable(rng, rows, using)
        where = rng.choice([Q(**{f"{name}__gt": other}), ~Q(**{f"{name}__gt": other}), where])
    made: Any = models.ExpressionWrapper(where, output_field=models.BooleanField())
    found = rows.annotate(x=made)
    return (found.filter(x=rng.random() < 0.5) if rng.random() < 0.5 else found).values_list(
        "pk", "x"
    )


@kind
def parts_of_moments(rng: random.Random, rows: Rows, using: str) -> Any:
    name = rng.choice(MOMENTS[rows.model])
    made: Any = rng.choice([
        fn.ExtractYear, fn.ExtractMonth, fn.ExtractDay, fn.ExtractHour, fn.ExtractMinute,
        fn.ExtractSecond, fn.ExtractWeek, fn.ExtractWeekDay, fn.ExtractIsoWeekDay,
        fn.ExtractIsoYear, fn.ExtractQuarter,
    ])  # fmt: skip
    found = rows.annotate(x=made(name))
    where = Q(x__gt=rng.choice([3, 12, 30, 2025]))
    return (found.exclude(where) if rng.random() < 0.5 else found).values_list("pk", "x")


@kind
def lookups_of_moments(rng: random.Random, rows: Rows, using: str) -> Any:
    name = rng.choice(MOMENTS[rows.model])
    part, value = rng.choice([
        ("year", 2026), ("month", 1), ("month__gt", 1), ("day", 3), ("week", 2), ("week_day", 4),
        ("hour__lt", 12), ("minute", 30), ("date", START.date()), ("date__gt", START.date()),
        ("quarter", 1), ("year__gte", 2026), ("time__gt", START.time()), ("iso_week_day__in", [1, 2]),
    ])  # fmt: skip
    where = Q(**{f"{name}__{part}": value})
    return rows.filter(~where if rng.random() < 0.4 else where).values_list("pk")


@kind
def starts_of_periods(rng: random.Random, rows: Rows, using: str) -> Any:
    name = rng.choice(MOMENTS[rows.model])
    made: Any = rng.choice([
        fn.TruncYear, fn.TruncQuarter, fn.TruncMonth, fn.TruncWeek, fn.TruncDay, fn.TruncHour,
        fn.TruncMinute, fn.TruncSecond, fn.TruncDate, fn.TruncTime,
    ])  # fmt: skip
    if rng.random() < 0.5:
        return rows.annotate(x=made(name)).values_list("pk", "x")
    grouped = rows.order_by().annotate(x=made(name)).values_list("x").annotate(n=Count("pk"))
    return grouped.order_by("x")


@kind
def days(rng: random.Random, rows: Rows, using: str) -> Any:
    model: Any = rng.choice([Order, Watermark])
    rows = model.objects.using(using).order_by("pk")
    name = DAYS[rows.model][0]
    made: Any = rng.choice(
        [fn.ExtractMonth, fn.ExtractWeek, fn.TruncMonth, fn.TruncWeek, fn.TruncYear]
    )
    found = rows.annotate(x=made(name))
    part = rng.choice(["month", "year", "day__gt", "week_day"])
    return found.filter(
        **{f"{name}__{part}": rng.randrange(1, 8)} if rng.random() < 0.5 else {}
    ).values_list("pk", "x")


@kind
def spans(rng: random.Random, rows: Rows, using: str) -> Any:
    span: Any = models.ExpressionWrapper(
        F("ended_at") - F("started_at"), output_field=models.DurationField()
    )
    runs = RefreshRun.objects.using(using).order_by("pk").annotate(x=span)
    match rng.randrange(4):
        case 0:
            return runs.filter(x__gt=START - START).values_list("pk")
        case 1:
            return [runs.aggregate(Sum("x"), Max("x"))]
        case 2:
            return runs.order_by("x", "pk").values_list("pk")
    return runs.values_list("pk", "x")


# Groups.


@kind
def groups(rng: random.Random, rows: Rows, using: str) -> Any:
    model = rows.model
    keys = rng.sample(TEXT[model][1:] or TEXT[model], 1) + (
        [_whole(rng, model)] if rng.random() < 0.3 else []
    )
    name = _whole(rng, model)
    made: dict[str, Any] = {
        "n": Count("pk"), "s": Sum(name), "d": Count(name, distinct=True), "m": Max(name),
        "a": Avg(name), "f": Count("pk", filter=condition(rng, model, 1)),
        "g": Sum(name, filter=condition(rng, model, 0)), "e": Sum(F(name) * 2 + 1),
    }  # fmt: skip
    chosen = dict(rng.sample(list(made.items()), rng.randrange(1, 5)))
    chosen.setdefault("n", made["n"])
    found = rows.order_by().values(*keys).annotate(**chosen)
    if rng.random() < 0.5:
        key = rng.choice(list(chosen))
        where = Q(**{f"{key}__{rng.choice(['gt', 'lt', 'gte'])}": rng.randrange(9)})
        found = found.exclude(where) if rng.random() < 0.3 else found.filter(where)
    order = rng.choice([keys, [f"-{keys[0]}", *keys[1:]], ["-n", *keys]])
    found = found.order_by(*order)
    return found[: rng.randrange(1, 9)] if rng.random() < 0.3 else found


@kind
def groups_by_expressions(rng: random.Random, rows: Rows, using: str) -> Any:
    key = number(rng, rows.model, 1) if rng.random() < 0.5 else text(rng, rows.model)
    found = (
        rows.order_by()
        .annotate(k=key)
        .values_list("k")
        .annotate(n=Count("pk"), m=Min(_whole(rng, rows.model)))
    )
    return found.order_by("k")


@kind
def aggregates(rng: random.Random, rows: Rows, using: str) -> Any:
    model, name = rows.model, _whole(rng, rows.model)
    made: dict[str, Any] = {
        "a": Sum(name) + Count("pk"), "b": Avg(number(rng, model, 1)), "c": Max(name) - Min(name),
        "d": Count(name, distinct=True), "e": Sum(name, default=0), "f": Sum(number(rng, model, 1)),
        "g": Count("pk", filter=condition(rng, model, 1)), "h": Max(rng.choice(MOMENTS[model])),
        "i": Sum(name, distinct=True), "j": Count(Case(When(condition(rng, model, 0), then=1))),
        "k": fn.Coalesce(Sum(name, filter=condition(rng, model, 0)), 0), "l": Min(_text(rng, model)),
    }  # fmt: skip
    return [rows.aggregate(**dict(rng.sample(list(made.items()), 3)))]


@kind
def aggregates_of_annotated(rng: random.Random, rows: Rows, using: str) -> Any:
    grouped = (
        rows.order_by()
        .values(_text(rng, rows.model))
        .annotate(n=Count("pk"), s=Sum(_whole(rng, rows.model)))
    )
    return [grouped.aggregate(Max("n"), Sum("s"), Avg("n"))]


@kind
def aggregates_of_slices(rng: random.Random, rows: Rows, using: str) -> Any:
    some = rows[rng.randrange(3) : rng.randrange(3, 30)]
    return [some.aggregate(Sum(_whole(rng, rows.model)), Count("pk")), some.count()]


@kind
def counts_of_distinct(rng: random.Random, rows: Rows, using: str) -> Any:
    name = rng.choice([_text(rng, rows.model), _whole(rng, rows.model)])
    values = rows.order_by().values(name).distinct()
    return [values.count(), values.exists(), list(values.order_by(name)[:5])]


@kind
def spread(rng: random.Random, rows: Rows, using: str) -> Any:
    name = _whole(rng, rows.model)
    made = rng.choice([StdDev, models.Variance])
    # Of all rows: SQLite has no answer for what one row alone or none says of others.
    every = rows.model.objects.using(using)
    if rng.random() < 0.5:
        return [every.aggregate(made(name, sample=rng.random() < 0.5))]
    by = TEXT[rows.model][-1]
    return every.order_by().values_list(by).annotate(x=made(name)).order_by(by)


@kind
def distinct_columns(rng: random.Random, rows: Rows, using: str) -> Any:
    names = [_text(rng, rows.model), _whole(rng, rows.model)]
    found = (
        rows.order_by().annotate(x=number(rng, rows.model, 1)).values_list(*names, "x").distinct()
    )
    found = found.order_by("x", *names)
    return found[: rng.randrange(1, 9)] if rng.random() < 0.5 else found


@kind
def distinct_on(rng: random.Random, rows: Rows, using: str) -> Any:
    return rows.order_by(_text(rng, rows.model)).distinct(_text(rng, rows.model)).values_list("pk")


# Relations.


def _products(rng: random.Random, using: str) -> Rows:
    return Product.objects.using(using).filter(condition(rng, Product, 1)).order_by("pk")


@kind
def joined(rng: random.Random, rows: Rows, using: str) -> Any:
    word = rng.choice(WORDS)
    where = rng.choice([
        Q(category__name=word), Q(category__name__icontains=word), ~Q(category__name=word),
        Q(category__name__gt=F("name")), Q(category__name=word) | Q(stock__gt=2),
        Q(category__products__stock=50), ~Q(category__products__stock=50),
    ])  # fmt: skip
    found = _products(rng, using).filter(where).distinct()
    return found.order_by("category__name", "pk").values_list("pk", "category__name", "category_id")


@kind
def joined_groups(rng: random.Random, rows: Rows, using: str) -> Any:
    found = _products(rng, using).order_by().values("category__name").annotate(
        n=Count("pk"), s=Sum("stock"), p=Max("price")
    )  # fmt: skip
    return found.filter(n__gt=rng.randrange(6)).order_by("category__name")


@kind
def counted_relations(rng: random.Random, rows: Rows, using: str) -> Any:
    found = Category.objects.using(using).annotate(
        n=Count("products"),
        f=Count("products", filter=Q(products__stock__gt=rng.randrange(4))),
        s=Sum("products__stock"),
        d=Count("products__name", distinct=True),
    )  # fmt: skip
    where = rng.choice([Q(), Q(n__gt=rng.randrange(9)), Q(s__isnull=True), Q(f=0), ~Q(s__gt=20)])
    return (
        found.filter(where)
        .order_by(rng.choice(["-n", "s", "d"]), "pk")
        .values_list("pk", "n", "f", "s", "d")
    )


@kind
def relations_left_out(rng: random.Random, rows: Rows, using: str) -> Any:
    some = rng.choice([
        Q(products__stock__gt=rng.randrange(60)), Q(products__name__icontains="ice"),
        Q(products__isnull=True), Q(products__stock=0, products__is_active=True),
        Q(products__price__lt=rng.randrange(20)) | Q(name__icontains="a"),
    ])  # fmt: skip
    categories = Category.objects.using(using)
    found = categories.exclude(some) if rng.random() < 0.6 else categories.filter(some).distinct()
    return found.order_by("pk").values_list("pk")


@kind
def filtered_relations(rng: random.Random, rows: Rows, using: str) -> Any:
    relation = models.FilteredRelation(
        "products", condition=Q(products__stock__gt=rng.randrange(5))
    )
    found = Category.objects.using(using).annotate(some=relation)
    if rng.random() < 0.5:
        return found.annotate(n=Count("some")).order_by("pk").values_list("pk", "n")
    return (
        found.filter(some__is_active=True).order_by("pk", "some__pk").values_list("pk", "some__pk")
    )


@kind
def selected_relations(rng: random.Random, rows: Rows, using: str) -> Any:
    found = _products(rng, using).select_related("category")[: rng.randrange(1, 20)]
    if rng.random() < 0.5:
        return [(each.pk, each.category.name) for each in found]
    categories = Category.objects.using(using).prefetch_related("products").order_by("pk")
    return [(each.pk, sorted(p.pk for p in each.products.all())) for each in categories]


# Subqueries.


@kind
def exists_inside(rng: random.Random, rows: Rows, using: str) -> Any:
    products = _products(rng, using).filter(category=OuterRef("pk"))
    other = Product.objects.using(using).filter(
        category=OuterRef("pk"), stock__gt=rng.randrange(60)
    )
    where = rng.choice([
        Exists(products), ~Exists(products), Exists(products) & Exists(other),
        Exists(products) | ~Exists(other), Exists(products) & Q(name__gt="i"),
    ])  # fmt: skip
    found = Category.objects.using(using).filter(where)
    return found.annotate(x=Exists(other)).order_by("pk").values_list("pk", "x")


@kind
def nested_exists(rng: random.Random, rows: Rows, using: str) -> Any:
    orders = Order.objects.using(using).filter(
        product=OuterRef("pk"), quantity__gt=rng.randrange(9), category=OuterRef(OuterRef("pk"))
    )  # fmt: skip
    products = Product.objects.using(using).filter(category=OuterRef("pk"))
    products = products.filter(Exists(orders) if rng.random() < 0.6 else ~Exists(orders))
    return Category.objects.using(using).filter(Exists(products)).order_by("pk").values_list("pk")


@kind
def values_inside(rng: random.Random, rows: Rows, using: str) -> Any:
    orders = Order.objects.using(using).filter(product=OuterRef("pk")).order_by("-quantity", "pk")
    if rng.random() < 0.3:
        orders = orders.filter(condition(rng, Order, 0))
    name = rng.choice(["customer", "quantity", "amount", "created_at"])
    at = rng.randrange(2)
    found = _products(rng, using).annotate(x=Subquery(orders.values(name)[at : at + 1]))
    match rng.randrange(3):
        case 0:
            found = found.filter(x__isnull=rng.random() < 0.5)
        case 1:
            found = found.order_by(F("x").asc(nulls_last=True), "pk")
    return found.values_list("pk", "x")


@kind
def counts_inside(rng: random.Random, rows: Rows, using: str) -> Any:
    orders = Order.objects.using(using).filter(product=OuterRef("pk")).order_by()
    counted = orders.values("product").annotate(n=Count("pk")).values("n")
    found = _products(rng, using).annotate(x=fn.Coalesce(Subquery(counted), 0))
    return found.filter(x__gte=rng.randrange(3)).values_list("pk", "x")


@kind
def in_queries(rng: random.Random, rows: Rows, using: str) -> Any:
    orders = Order.objects.using(using).filter(condition(rng, Order, 1))
    where = Q(pk__in=orders.values("product"))
    return _products(rng, using).filter(~where if rng.random() < 0.5 else where).values_list("pk")


@kind
def in_queries_with_nulls(rng: random.Random, rows: Rows, using: str) -> Any:
    other = Watermark.objects.using(using).filter(version__gte=rng.randrange(4))
    name = rng.choice(["until", "generated_at"])
    where = Q(**{f"{name}__in": other.values(name)})
    found = Watermark.objects.using(using).order_by("pk")
    return found.filter(~where if rng.random() < 0.5 else where).values_list("pk")


@kind
def in_queries_of_the_row(rng: random.Random, rows: Rows, using: str) -> Any:
    near = Product.objects.using(using).filter(
        stock__gt=OuterRef("stock"), category=OuterRef("category")
    )  # fmt: skip
    where = Q(name__in=near.values("name"))
    return _products(rng, using).filter(~where if rng.random() < 0.5 else where).values_list("pk")


@kind
def in_slices(rng: random.Random, rows: Rows, using: str) -> Any:
    some = Product.objects.using(using).order_by("-stock", "pk")[: rng.randrange(1, 20)]
    where = Q(pk__in=some.values("pk"))
    return _products(rng, using).filter(~where if rng.random() < 0.3 else where).values_list("pk")


@kind
def in_groups(rng: random.Random, rows: Rows, using: str) -> Any:
    busy = Order.objects.using(using).order_by().values("product").annotate(n=Count("pk"))
    busy = busy.filter(n__gt=rng.randrange(3)).values("product")
    return _products(rng, using).filter(pk__in=busy).values_list("pk")


@kind
def compared_with_queries(rng: random.Random, rows: Rows, using: str) -> Any:
    best = Order.objects.using(using).filter(_open(rng, Order)).order_by("-quantity", "pk")
    found = _products(rng, using)
    where = Q(**{f"stock__{rng.choice(['gt', 'lte'])}": Subquery(best.values("quantity")[:1])})
    return found.filter(~where if rng.random() < 0.3 else where).values_list("pk")


# Sets, windows, writes.


def _asks_nothing(rows: Rows) -> bool:
    """Whether it is plainly empty: of its union with another Django's SQL keeps that one's duplicates."""
    try:
        rows.query.sql_with_params()
    except EmptyResultSet:
        return True
    return False


@kind
def unions(rng: random.Random, rows: Rows, using: str) -> Any:
    model = rows.model
    names = ["pk", _text(rng, model), _whole(rng, model)][rng.randrange(2) :]
    one = rows.order_by().values_list(*names)
    two = model.objects.using(using).filter(condition(rng, model, 1)).order_by().values_list(*names)
    found = one.union(two, all=rng.random() < 0.4 or any(map(_asks_nothing, (one, two))))
    match rng.randrange(3):
        case 0:
            return [found.count()]
        case 1:
            return sorted(map(str, found))
    return [str(each) for each in found.order_by(*names)[: rng.randrange(1, 9)]]


@kind
def intersections_and_differences(rng: random.Random, rows: Rows, using: str) -> Any:
    two = rows.model.objects.using(using).filter(condition(rng, rows.model, 1)).order_by()
    one = rows.order_by()
    found = one.intersection(two) if rng.random() < 0.5 else one.difference(two)
    return sorted(str(each.pk) for each in found)


@kind
def windows(rng: random.Random, rows: Rows, using: str) -> Any:
    made: Any = rng.choice([fn.RowNumber(), fn.Rank(), Sum(_whole(rng, rows.model)), fn.Lag("pk")])
    over = models.Window(made, partition_by=[F(TEXT[rows.model][-1])], order_by="pk")
    return rows.annotate(x=over).values_list("pk", "x")


@contextmanager
def _undone(using: str) -> Iterator[None]:
    with transaction.atomic(using=using):
        yield
        transaction.set_rollback(True, using=using)


@kind
def updates(rng: random.Random, rows: Rows, using: str) -> Any:
    model, name = rows.model, _whole(rng, rows.model)
    whole: Any = rng.choice([
        F(name) + rng.randrange(3), F(name) * 2, number(rng, model, 0), F(_whole(rng, model)),
        Case(When(condition(rng, model, 1), then=Value(4)), default=F(name), output_field=WHOLE_NUMBER),
        fn.Greatest(F(name), Value(2), output_field=WHOLE_NUMBER),
    ])  # fmt: skip
    written = {Product: "name", Order: "customer", Watermark: "totalled", RefreshRun: "dashboard"}
    text_name = written[model]
    made: Any = models.ExpressionWrapper(whole, output_field=WHOLE_NUMBER)
    values: dict[str, Any] = {name: fn.Coalesce(fn.Abs(made), 1, output_field=WHOLE_NUMBER)}
    if rng.random() < 0.3:
        values[text_name] = fn.Lower(fn.Concat(text_name, Value("Z")))
    if MONEY[model] and rng.random() < 0.5:
        values[MONEY[model][0]] = F(MONEY[model][0]) * Decimal("1.5")
    with _undone(using):
        count = models.QuerySet.update(rows.order_by(), **values)
        after = model.objects.using(using).order_by("pk")
        return [count, *after.values_list("pk", *sorted(values))]


@kind
def updates_over_relations(rng: random.Random, rows: Rows, using: str) -> Any:
    word = rng.choice(WORDS)
    found = Product.objects.using(using)
    some = rng.choice([
        Q(category__name=word), ~Q(category__name=word), Q(category__products__stock=50),
        Q(pk__in=Order.objects.using(using).filter(quantity__gt=5).values("product")),
    ])  # fmt: skip
    with _undone(using):
        count = models.QuerySet.update(found.filter(some), stock=F("stock") + 1)
        return [count, *found.order_by("pk").values_list("pk", "stock")]


@kind
def updates_by_queries(rng: random.Random, rows: Rows, using: str) -> Any:
    best = Order.objects.using(using).filter(product=OuterRef("pk")).order_by("-quantity", "pk")
    found = Product.objects.using(using)
    with _undone(using):
        value = fn.Coalesce(Subquery(best.values("quantity")[:1]), 0)
        count = models.QuerySet.update(found.all(), stock=value)
        return [count, *found.order_by("pk").values_list("pk", "stock")]


@kind
def deletes(rng: random.Random, rows: Rows, using: str) -> Any:
    some = rng.choice([
        rows.order_by,
        lambda: _products(rng, using).order_by().filter(category__name=rng.choice(WORDS)),
        lambda: Order.objects.using(using).filter(
            product__in=Product.objects.using(using).filter(stock=0).values("pk")
        ),
    ])()  # fmt: skip
    with _undone(using):
        count = some._raw_delete(using)
        return [
            count or 0,
            *some.model.objects.using(using).order_by("pk").values_list("pk", flat=True),
        ]


@kind
def raw_sql(rng: random.Random, rows: Rows, using: str) -> Any:
    made = rng.randrange(2)
    if made:
        return rows.annotate(x=models.expressions.RawSQL("1", ())).values_list("pk", "x")
    return rows.extra(select={"x": "1"}).values_list("pk", "x")


@kind
def chance(rng: random.Random, rows: Rows, using: str) -> Any:
    return [rows.annotate(x=fn.Random()).filter(x__gte=0).count()]
