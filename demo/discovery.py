"""The `demo` modules of the installed apps, with what each must offer.

Promises: an app takes part by having a `demo.py`; nothing is registered anywhere.
On failure: ImproperlyConfigured names the module and what it lacks.
"""

from typing import cast

from django.core.exceptions import ImproperlyConfigured

from caching.scoreboard import demo_modules
from caching.workload import Demo

OFFERS = ("USE_CASE", "seed", "workload")


def demos() -> tuple[Demo, ...]:
    """In the order of INSTALLED_APPS. Raises ImproperlyConfigured."""
    modules = tuple(demo_modules())
    for module in modules:
        lacking = [name for name in OFFERS if not hasattr(module, name)]
        if lacking:
            raise ImproperlyConfigured(f"{module.__name__} offers no {', '.join(lacking)}")
    return tuple(cast(Demo, module) for module in modules)
