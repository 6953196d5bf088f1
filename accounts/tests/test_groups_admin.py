"""Groups in the admin: how many are in each, how much it gives, and which nobody is in.

Promise: neither count is multiplied by the other. On failure: the broken rule is the test's name.
"""

import re

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
GROUPS = "/admin/auth/group/"


@pytest.fixture
def chief(ada: User) -> Client:
    """A client logged in as a superuser; a group of two users and three permissions, and one of nothing."""
    sales, _idle = (Group.objects.create(name=name) for name in ("sales", "idle"))
    boss = User.objects.create_superuser("chief")
    sales.permissions.set(Permission.objects.all()[:3])
    sales.user_set.set([ada, boss])
    client = Client()
    client.force_login(boss)
    return client


def listed(client: Client, query: str = "") -> list[tuple[str, str, str]]:
    response = client.get(GROUPS + query)
    assert response.status_code == 200
    return re.findall(
        r'field-name"><a[^>]*>([^<]*)</a></th>'
        r'<td class="field-members">(\d+)</td><td class="field-permissions_given">(\d+)</td>',
        response.content.decode(),
    )


def test_a_group_is_listed_with_its_members_and_permissions(chief: Client) -> None:
    assert listed(chief) == [("idle", "0", "0"), ("sales", "2", "3")]
    assert listed(chief, "?o=-2") == [("sales", "2", "3"), ("idle", "0", "0")]


def test_groups_are_found_by_name_and_by_whether_anybody_is_in_them(chief: Client) -> None:
    for query, names in (
        ("?q=sal", ["sales"]),
        ("?members=some", ["sales"]),
        ("?members=none", ["idle"]),
        ("?members=x", ["idle", "sales"]),
    ):
        assert [name for name, _, _ in listed(chief, query)] == names, query


def test_a_group_is_deleted_after_a_question(chief: Client) -> None:
    idle = Group.objects.get(name="idle")
    asked = {"action": "delete_selected", "_selected_action": [idle.pk]}
    chief.post(GROUPS, asked)
    assert Group.objects.filter(pk=idle.pk).exists()
    chief.post(GROUPS, {**asked, "post": "yes"})
    assert not Group.objects.filter(pk=idle.pk).exists()
