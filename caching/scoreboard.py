"""The matrix: what each use case promises against what its caches measured.

Promises: a use case is whatever the installed apps' `demo` modules declare as `USE_CASE`, so a new
app shows up by itself; a cache that no use case claims gets a row of its own. Figures are the
counters of all processes together. Ratios and quantiles of nothing are None, never 0.
On failure: `caching.errors.FarDown` when Redis does not answer; ImproperlyConfigured when an app's
`demo` module declares no use case.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import module_has_submodule

from caching import counters, node, registry
from caching.counters import Counts


@dataclass(frozen=True, slots=True)
class UseCase:
    """One row of the matrix. `target` is the wanted hit rate, 0..1; None: none is promised.

    `steps`: what takes time beside its caches, by its name here: the name under which its loads are counted.
    """

    name: str
    pattern: str
    ttl: str
    invalidation: str
    target: float | None
    caches: tuple[str, ...]
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds below which 50, 95 and 99 of 100 values lie."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Row:
    """A use case and the sums over its caches.

    `l1` and `l2` are fresh answers, `stale` are answers past their time, `db` are ids asked of the
    loader. `steps` are those of the use case that have been taken.
    """

    use_case: UseCase
    l1: int
    l2: int
    db: int
    loads: int
    refusals: int
    stale: int
    far_errors: int
    l2_latency: Quantiles | None
    load_latency: Quantiles | None
    steps: Mapping[str, Quantiles] = field(default_factory=dict)

    @property
    def hit_rate(self) -> float | None:
        """The share of ids answered without the loader, 0..1; None before the first read."""
        hits = self.l1 + self.l2 + self.stale
        return share(hits, hits + self.db)

    @property
    def holds(self) -> bool | None:
        """Whether the hit rate reaches its target; None where either is missing."""
        if self.use_case.target is None or self.hit_rate is None:
            return None
        return self.hit_rate >= self.use_case.target


def demo_modules() -> Iterator[ModuleType]:
    """The `demo` modules of the installed apps, or the `DEMOS` of each, in the order of INSTALLED_APPS."""
    for config in apps.get_app_configs():
        if config.module is not None and _has_demo(config.module):
            module = import_module(f"{config.name}.demo")
            yield from getattr(module, "DEMOS", (module,))


@cache
def _has_demo(module: ModuleType) -> bool:
    # A look into the file system.
    return module_has_submodule(module, "demo")


def use_cases() -> tuple[UseCase, ...]:
    """What the installed apps declare, then one row for each cache that nobody claims.

    Raises ImproperlyConfigured for a `demo` module without a `USE_CASE`.
    """
    declared = []
    for module in demo_modules():
        use_case = getattr(module, "USE_CASE", None)
        if not isinstance(use_case, UseCase):
            raise ImproperlyConfigured(f"{module.__name__} declares no USE_CASE")
        declared.append(use_case)
    claimed = {name for use_case in declared for name in use_case.caches}
    claimed |= {name for use_case in declared for _, name in use_case.steps} | {node.BUS}
    others = [name for name in registry.counted() if name not in claimed]
    return (*declared, *(UseCase(name, "-", "-", "-", None, (name,)) for name in others))


def rows(report: Mapping[str, Counts] | None = None) -> tuple[Row, ...]:
    """The matrix from `report` (cache name -> counts), or from the live counters.

    Raises FarDown when the live counters cannot be read.
    """
    counts = live() if report is None else report
    return tuple(_row(use_case, counts) for use_case in use_cases())


def live() -> dict[str, Counts]:
    """The counters of all processes, by cache name. Raises FarDown when Redis does not answer."""
    return node.report()


def since(before: Mapping[str, Counts], after: Mapping[str, Counts]) -> dict[str, Counts]:
    """What was counted between two reports."""
    differences = {name: Counts() for name in after}
    for name, counts in after.items():
        past = before[name].flat() if name in before else {}
        differences[name].add({key: n - past.get(key, 0) for key, n in counts.flat().items()})
    return differences


def _row(use_case: UseCase, report: Mapping[str, Counts]) -> Row:
    parts = [report[name] for name in use_case.caches if name in report]
    return Row(
        use_case=use_case,
        l1=sum(part.l1_hits for part in parts),
        l2=sum(part.l2_hits for part in parts),
        db=sum(part.misses for part in parts),
        loads=sum(part.loads for part in parts),
        refusals=sum(part.refusals for part in parts),
        stale=sum(part.stale for part in parts),
        far_errors=sum(part.far_errors for part in parts),
        l2_latency=quantiles(*(part.l2_latency for part in parts)),
        load_latency=quantiles(*(part.load_latency for part in parts)),
        steps={
            step: latency
            for step, name in use_case.steps
            if name in report and (latency := quantiles(report[name].load_latency))
        },
    )


def share(part: int, whole: int) -> float | None:
    """`part / whole`, or None of nothing."""
    return part / whole if whole else None


def quantiles(*histograms: Sequence[int]) -> Quantiles | None:
    """What the histograms of `caching.counters`, taken together, say; None if that is nothing."""
    merged = [sum(bucket) for bucket in zip(*histograms, strict=True)]
    if not sum(merged):
        return None
    bounds = counters.BOUNDS
    p50, p95, p99 = (quantile(bounds, merged, q) for q in (0.50, 0.95, 0.99))
    return Quantiles(p50, p95, p99)


def quantile(bounds: Sequence[float], counts: Sequence[int], q: float) -> float:
    """The `q`-quantile (0..1) of a histogram, in the unit of `bounds`.

    `counts[i]` values were at most `bounds[i]` and above the bound before; one more count at the
    end holds what was above the last bound, and is answered with that bound. Linear inside a
    bucket, as `histogram_quantile` of Prometheus does it. Raises ValueError for an empty histogram.
    """
    total = sum(counts)
    if not total:
        raise ValueError("an empty histogram has no quantiles")
    rank = q * total
    below, lower = 0, 0.0
    for upper, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return lower + (upper - lower) * max(rank - below, 0.0) / count
        below += count
        lower = upper
    return bounds[-1]
