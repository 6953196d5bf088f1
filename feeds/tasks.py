"""What workers do for feeds: one step of a delivery, and the sweep of those that were lost.

Promises: a task takes ids only, does a bounded number of batches, and queues the next step; run twice, or
never, it loses and doubles nothing.
On failure: the delivery stays in the outbox, and the sweep queues it again when it is due.
"""

from celery import shared_task

from feeds import fan_out, idempotency, outbox


@shared_task(name=outbox.DELIVER, ignore_result=True)
def deliver(id: int) -> None:
    """Do a step of the delivery of that id."""
    if fan_out.run(id):
        outbox.enqueue(id)


@shared_task(name="feeds.sweep", ignore_result=True)
def sweep() -> int:
    """Queue the deliveries that are due; how many."""
    return outbox.sweep()


@shared_task(name="feeds.forget_keys", ignore_result=True)
def forget_keys() -> int:
    """Delete the idempotency keys that are past their time; how many."""
    return idempotency.forget()
