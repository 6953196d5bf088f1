"""Posting under an `Idempotency-Key`: done once, answered alike, whatever is sent, lost or killed.

Promise: the second of two requests at once is a thread with a connection of its own; the clock is
time-machine's. On failure: the broken rule is the test's name.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from caching import node
from feeds import idempotency, services
from feeds.models import IdempotencyKey, Post
from feeds.tasks import forget_keys
from feeds.tests.api import JSON, POSTS, assert_problem, log_in, posted

pytestmark = pytest.mark.django_db(transaction=True)
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def send(client: Client, key: str = KEY, text: str = "hello") -> Any:
    return client.post(POSTS, {"text": text}, JSON, headers={"Idempotency-Key": key})


def texts() -> list[str]:
    return list(Post.objects.filter(deleted_at=None).values_list("text", flat=True))


def claim(client: Client) -> None:
    """Leave a key as a process does that dies halfway."""
    send(client)
    IdempotencyKey.objects.update(answer="", claim="dead", claimed_at=timezone.now())
    Post.objects.all().delete()


def test_the_same_request_is_done_once_and_answered_alike(ada: Client) -> None:
    first, second = send(ada), send(ada)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first["Location"] == second["Location"]
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert texts() == ["hello"]


def test_a_body_is_the_same_however_it_is_written(ada: Client) -> None:
    headers = {"Idempotency-Key": KEY}
    first = ada.post(POSTS, b'{"text": "hello", "x": 1}', JSON, headers=headers)
    second = ada.post(POSTS, b'{"x":1,"text":"hell\\u006f"}', JSON, headers=headers)
    assert second["Idempotent-Replayed"] == "true"
    assert first.content == second.content


def test_the_first_answer_comes_again_though_the_post_was_edited_or_deleted(ada: Client) -> None:
    first = send(ada)
    url = f"{POSTS}{first.json()['id']}/"
    ada.patch(url, {"text": "other"}, JSON)
    assert send(ada).content == first.content
    ada.delete(url)
    assert send(ada).content == first.content
    assert texts() == []


def test_without_a_key_or_under_others_each_request_is_a_post(ada: Client) -> None:
    posted(ada)
    posted(ada)
    send(ada, "one")
    send(ada, "two")
    assert len(texts()) == 4


def test_a_key_is_its_users_own(ada: Client, bob: Client) -> None:
    first, second = send(ada), send(bob, text="other")
    assert (first.status_code, second.status_code) == (201, 201)
    assert "Idempotent-Replayed" not in second


def test_a_key_with_another_body_is_422_and_does_nothing(ada: Client) -> None:
    first = send(ada)
    assert_problem(send(ada, text="other"), 422)
    assert texts() == ["hello"]
    assert send(ada).content == first.content


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "a\tb", "a\x7fb", "ä", "\u20ac"])
def test_what_is_no_key_is_400_and_does_nothing(ada: Client, key: str) -> None:
    assert_problem(send(ada, key), 400, "Idempotency-Key")
    assert texts() == []
    assert not IdempotencyKey.objects.exists()


def test_a_key_may_stand_in_quotes_as_a_structured_field_does(ada: Client) -> None:
    assert send(ada, f'"{KEY}"').content == send(ada).content
    assert send(ada, '"').status_code == send(ada, "k" * 255).status_code == 201
    assert len(texts()) == 3


def test_a_request_that_is_refused_does_not_use_its_key_up(ada: Client) -> None:
    assert_problem(send(ada, text=""), 400, "text")
    assert "Idempotent-Replayed" not in send(ada)


def test_a_request_that_failed_does_not_use_its_key_up(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(services, "create_post", fail)
        assert_problem(send(ada), 503)
    response = send(ada)
    assert (response.status_code, texts()) == (201, ["hello"])
    assert "Idempotent-Replayed" not in response


def test_it_is_answered_alike_after_redis_has_lost_everything(ada: Client) -> None:
    first = send(ada)
    far = node.current().far
    far.guarded(lambda client: client.flushdb())
    again = log_in("ada")
    second = send(again)
    assert (second.status_code, second["Idempotent-Replayed"]) == (201, "true")
    assert first.content == second.content
    assert texts() == ["hello"]


def test_two_at_once_make_one_post(ada: Client) -> None:
    start = Barrier(2)

    def race(client: Client, key: str) -> Any:
        start.wait()
        try:
            return send(client, key)
        finally:
            connection.close()

    for number in range(1, 6):
        clients = [log_in("ada"), log_in("ada")]
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(race, client, f"key {number}") for client in clients]
            answers = [run.result() for run in runs]
        done = [answer.content for answer in answers if answer.status_code == 201]
        assert len(set(done)) == 1
        assert all("Retry-After" in each for each in answers if each.status_code != 201)
        assert len(texts()) == IdempotencyKey.objects.count() == number


def test_a_request_that_is_being_done_is_409_and_says_when_to_come_back(ada: Client) -> None:
    claim(ada)
    response = send(ada)
    body = assert_problem(response, 409)
    assert 1 <= int(response["Retry-After"]) == body["retry_after"] <= idempotency.HOLD
    assert texts() == []


def test_what_died_halfway_is_done_by_the_next_after_a_while(ada: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        claim(ada)
        clock.shift(idempotency.HOLD - 1)
        assert send(ada)["Retry-After"] == "1"
        clock.shift(1)
        response = send(ada)
    assert (response.status_code, texts()) == (201, ["hello"])
    assert "Idempotent-Replayed" not in response


def test_who_was_taken_for_dead_and_was_not_writes_nothing(ada: Client) -> None:
    send(ada, "other")
    owner = IdempotencyKey.objects.get().user_id

    def write() -> bytes:
        post = services.create_post(author=owner, text="of the dead")
        IdempotencyKey.objects.filter(key=KEY).update(claim="another")
        return post.pk.encode()

    with pytest.raises(idempotency.UnderWay):
        idempotency.once(user=owner, key=KEY, body={}, write=write)
    assert texts() == ["hello"]


def test_a_key_is_forgotten_after_a_day_and_may_be_used_anew(ada: Client) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        send(ada)
        clock.shift(idempotency.LIFE - timedelta(seconds=1))
        ada = log_in("ada")
        assert send(ada)["Idempotent-Replayed"] == "true"
        clock.shift(1)
        assert "Idempotent-Replayed" not in send(ada, text="other")
        assert send(ada, text="other")["Idempotent-Replayed"] == "true"
    assert sorted(texts()) == ["hello", "other"]


def test_keys_past_their_time_are_deleted_by_the_chunk(
    ada: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(idempotency, "CHUNK", 2)
    for number in range(5):
        send(ada, f"key {number}")
    past = timezone.now() - idempotency.LIFE
    IdempotencyKey.objects.exclude(key="key 4").update(created_at=past)
    call_command("clear_idempotency_keys")
    assert capsys.readouterr().out == "deleted 4 idempotency keys\n"
    assert [row.key for row in IdempotencyKey.objects.all()] == ["key 4"]
    assert forget_keys() == 0
