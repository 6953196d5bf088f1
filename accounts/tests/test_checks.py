"""System checks of keys and limits: every wrong setting is one error that says what to do.

Promise: whatever a setting holds, no check raises. On failure: the case's setting, and what was found.
"""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.checks import keys_of_a_user, limits_without_redis, plans_of_keys, strangers
from accounts.models import PLAN_LENGTH

VIEW = "catalog.views.ProductViewSet"
WRONG: list[tuple[str, Any, list[str]]] = [
    ("API_PLANS", {}, ["E001"]),
    ("API_PLANS", None, ["E001"]),
    ("API_PLANS", ["default"], ["E001"]),
    ("API_PLANS", "1000/h", ["E001"]),
    ("API_PLANS", {"pro": "1/s"}, ["E002"]),
    ("API_PLANS", {"default": 1000}, ["E003"]),
    ("API_PLANS", {"default": None}, ["E003"]),
    ("API_PLANS", {"default": b"1000/h"}, ["E003"]),
    ("API_PLANS", {"default": ["1000/h"]}, ["E003"]),
    ("API_PLANS", {"default": ""}, ["E003"]),
    ("API_PLANS", {"default": "1000/h\n1"}, ["E003"]),
    ("API_PLANS", {"default": "9" * 5000 + "/h"}, ["E003"]),
    ("API_PLANS", {"default": "1/h", "pro": "often", "max": "0/s"}, ["E003", "E003"]),
    ("API_PLANS", {"default": "1/h", "": "1/h"}, ["E006"]),
    ("API_PLANS", {"default": "1/h", 5: "1/h"}, ["E006"]),
    ("API_PLANS", {"default": "1/h", None: "1/h"}, ["E006"]),
    ("API_PLANS", {"default": "1/h", "a\nb": "1/h"}, ["E006"]),
    ("API_PLANS", {"default": "1/h", "x" * (PLAN_LENGTH + 1): "1/h"}, ["E006"]),
    ("API_DEFAULT_PLAN", "free", ["E002"]),
    ("API_DEFAULT_PLAN", None, ["E002"]),
    ("API_DEFAULT_PLAN", ["default"], ["E002"]),
    ("ANONYMOUS_LIMITS", None, ["E007"]),
    ("ANONYMOUS_LIMITS", [VIEW], ["E007"]),
    ("ANONYMOUS_LIMITS", {VIEW: 5}, ["E003"]),
    ("ANONYMOUS_LIMITS", {VIEW: "often"}, ["E003"]),
    ("ANONYMOUS_LIMITS", {"no.such.View": "1/h"}, ["E008"]),
    ("ANONYMOUS_LIMITS", {"catalog.views.NoSuchView": "1/h"}, ["E008"]),
    ("ANONYMOUS_LIMITS", {"ProductViewSet": "1/h"}, ["E008"]),
    ("ANONYMOUS_LIMITS", {"catalog.views": "1/h"}, ["E008"]),
    ("ANONYMOUS_LIMITS", {"catalog.models.Product": "1/h"}, ["E008"]),
    ("ANONYMOUS_LIMITS", {"catalog.urls.ProductViewSet": "1/h"}, ["E008"]),
    ("ANONYMOUS_LIMITS", {"": "1/h"}, ["E008"]),
    ("ANONYMOUS_LIMITS", {5: "1/h"}, ["E008"]),
    ("RATELIMIT_ON_FAILURE", ["local"], ["E004"]),
    ("RATELIMIT_ON_FAILURE", "Local", ["E004"]),
    ("RATELIMIT_ON_FAILURE", None, ["E004"]),
    ("RATELIMIT_WORKERS", True, ["E005"]),
    ("RATELIMIT_WORKERS", 0, ["E005"]),
    ("RATELIMIT_WORKERS", "4", ["E005"]),
    ("RATELIMIT_WORKERS", 2.0, ["E005"]),
    ("API_KEYS_PER_USER", None, ["E009"]),
    ("API_KEYS_PER_USER", "50", ["E009"]),
    ("API_KEYS_PER_USER", 0, ["E009"]),
]


def found() -> list[Any]:
    checks = (plans_of_keys, strangers, limits_without_redis, keys_of_a_user)
    return [message for check in checks for message in check(None)]


@pytest.mark.parametrize(("setting", "value", "ids"), WRONG, ids=str)
def test_a_wrong_setting_is_an_error_that_says_what_to_do(
    settings: Any, setting: str, value: Any, ids: list[str]
) -> None:
    setattr(settings, setting, value)
    messages = found()
    assert [message.id for message in messages] == [f"accounts.{id}" for id in ids]
    for message in messages:
        assert len(message.msg) < 250
        assert "\n" not in message.msg
        assert message.hint


def test_what_is_right_is_no_error(settings: Any) -> None:
    assert found() == []
    settings.ANONYMOUS_LIMITS = {VIEW: "20/s, 60/m"}
    settings.API_PLANS = {"x" * PLAN_LENGTH: "1/h"}
    settings.API_DEFAULT_PLAN = "x" * PLAN_LENGTH
    assert found() == []
    for setting in ("API_PLANS", "API_DEFAULT_PLAN", "ANONYMOUS_LIMITS", "API_KEYS_PER_USER"):
        delattr(settings, setting)
    assert found() == []


def test_a_wrong_setting_is_told_by_the_check_command_and_not_by_a_traceback(settings: Any) -> None:
    settings.API_PLANS = None
    with pytest.raises(CommandError, match=r"accounts\.E001"):
        call_command("check", stdout=io.StringIO(), stderr=io.StringIO())
