"""Posts, who follows, blocks and mutes whom, how many follow, what is still to be delivered, and answered.

Promises: a pair exists once and nobody is in a relation with themselves; a post's id, `created_at` and place
in every feed are one and the same moment; a deleted post stays as a tombstone. A pending delivery is written
in the transaction of what it delivers, and goes when the last timeline has it. Every write announces itself;
see feeds/changes.py.
On failure: the database's constraints raise `django.db.IntegrityError`.
"""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator
from django.db import models, transaction
from django.utils import timezone

from feeds.changes import PairQuerySet, PostQuerySet, Turn, relations_changed
from feeds.post_ids import EPOCH, checked, new_post_id, time_of
from rest.ids import LENGTH

TEXT_LENGTH = 1000
KEY_LENGTH = 255


class Post(models.Model):
    """A post; with `deleted_at` set a tombstone, which nobody is shown."""

    id = models.CharField(primary_key=True, max_length=LENGTH, editable=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="posts")
    text = models.CharField(max_length=TEXT_LENGTH, validators=[MinLengthValidator(1)])
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = PostQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [models.CheckConstraint(condition=~models.Q(text=""), name="feeds_post_text")]
        indexes = [
            # The id has the millisecond in it, so this is the order by (author, created_at, id).
            models.Index(
                fields=["author", "-id"],
                condition=models.Q(deleted_at=None),
                name="feeds_post_author_id",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.text:.40}"

    def save(self, *args: Any, using: str | None = None, **kwargs: Any) -> None:
        """As Django's, in a transaction, since a post and its delivery are written together.

        Raises ValueError for what makes it another post, and for a deleted one that would come back unasked.
        """
        if self._state.adding:
            self.agree()
        with transaction.atomic(using=using):
            if not self._state.adding:
                self._keep(using, kwargs.get("update_fields"))
            super().save(*args, using=using, **kwargs)

    def agree(self) -> None:
        """Make id and `created_at` the same moment: that of the id, else of `created_at`, else now.

        Raises ValidationError for a time that no post has, ValueError for what is no id.
        """
        if self.created_at is not None and self.created_at < EPOCH:
            raise ValidationError({"created_at": "This is before 1970."})
        self.id = checked(self.id) if self.id else new_post_id(self.created_at)
        self.created_at = time_of(self.id)
        if self.created_at > timezone.now():
            raise ValidationError({"created_at": "This is in the future."})
        self.updated_at = self.updated_at or self.created_at

    def _keep(self, using: str | None, fields: Collection[str] | None) -> None:
        """Lock the row as it is in the table, of which this may be an old copy."""
        if fields is not None and {"author", "author_id", "created_at", "deleted_at"}.isdisjoint(
            fields
        ):
            return
        rows = Post.objects.using(using).filter(pk=self.pk).select_for_update()
        row = rows.values_list("author_id", "created_at", "deleted_at").first()
        if row is None:
            return
        author, created_at, deleted_at = row
        if (author, created_at) != (self.author_id, self.created_at):
            raise ValueError("a post keeps its author and time; create another post")
        if deleted_at is not None and self.deleted_at is None:
            raise ValueError(
                "the post was deleted meanwhile; to bring it back, filter for it and update(deleted_at=None)"
            )


class _Pair(models.Model):
    """One user's relation to another."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, using: str | None = None, **kwargs: Any) -> None:
        """As Django's, in a transaction."""
        with transaction.atomic(using=using):
            super().save(*args, using=using, **kwargs)

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """As Django's, in a transaction; nothing, if somebody else was first."""
        rows: models.QuerySet[Any] = type(self)._default_manager.using(using)
        deleted = rows.filter(pk=self.pk).delete()
        self.pk = None
        return deleted

    @classmethod
    def announce(cls, rows: Sequence[Any], turn: Turn, using: str) -> None:
        """Announce rows that were made or ended at once."""
        pairs = dict.fromkeys(pair for row in rows for pair in row.pairs)
        relations_changed.send(sender=cls, pairs=tuple(pairs), turn=turn, using=using)


class Follow(_Pair):
    """`follower` sees the posts of `followed`."""

    follower = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="follows", db_index=False
    )
    followed = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="followed_by", db_index=False
    )

    objects: ClassVar[models.Manager[Any]] = PairQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["follower", "followed"], name="feeds_follow_once"),
            models.CheckConstraint(
                condition=~models.Q(follower=models.F("followed")), name="feeds_follow_others"
            ),
        ]
        # In this order followers are streamed.
        indexes = [
            models.Index(fields=["followed", "follower"], name="feeds_follow_followed"),
            models.Index(fields=["-created_at", "-id"], name="feeds_follow_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.follower_id} follows {self.followed_id}"

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Who sees more or less of whom by this."""
        return ((self.follower_id, self.followed_id),)


class Block(_Pair):
    """Neither of the two sees the other's posts."""

    blocker = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="blocks", db_index=False
    )
    blocked = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="blocked_by", db_index=False
    )

    objects: ClassVar[models.Manager[Any]] = PairQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["blocker", "blocked"], name="feeds_block_once"),
            models.CheckConstraint(
                condition=~models.Q(blocker=models.F("blocked")), name="feeds_block_others"
            ),
        ]
        indexes = [
            models.Index(fields=["blocked", "blocker"], name="feeds_block_blocked"),
            models.Index(fields=["-created_at", "-id"], name="feeds_block_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.blocker_id} blocks {self.blocked_id}"

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Who sees more or less of whom by this."""
        return ((self.blocker_id, self.blocked_id), (self.blocked_id, self.blocker_id))


class Mute(_Pair):
    """`muter` goes on to follow `muted`, and does not see the posts."""

    muter = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="mutes", db_index=False
    )
    muted = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="muted_by", db_index=False
    )

    objects: ClassVar[models.Manager[Any]] = PairQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["muter", "muted"], name="feeds_mute_once"),
            models.CheckConstraint(
                condition=~models.Q(muter=models.F("muted")), name="feeds_mute_others"
            ),
        ]
        indexes = [
            models.Index(fields=["muted", "muter"], name="feeds_mute_muted"),
            models.Index(fields=["-created_at", "-id"], name="feeds_mute_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.muter_id} mutes {self.muted_id}"

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Who sees more or less of whom by this."""
        return ((self.muter_id, self.muted_id),)


class Audience(models.Model):
    """How many follow an author, and so how the posts reach them; see feeds/audience.py."""

    class Reach(models.TextChoices):
        """Fanned out; merged at read; or, on the way back, both."""

        FANNED_OUT = "fanned_out"
        MERGED = "merged"
        LEAVING = "leaving"

    author = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="audience"
    )
    followers = models.PositiveBigIntegerField(default=0)
    reach = models.CharField(max_length=10, choices=Reach.choices, default=Reach.FANNED_OUT)

    class Meta:
        indexes = [
            # Few authors are ever merged.
            models.Index(
                fields=["author"],
                condition=~models.Q(reach="fanned_out"),
                name="feeds_audience_merged",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.followers} followers of {self.author_id}, {self.reach}"


class PendingDelivery(models.Model):
    """What timelines do not have yet; see feeds/outbox.py. Plain ids: the rows they name may go first.

    PUSH and UNPUSH: post `post`, by `author`, to all followers beyond `position`. RELATE: `user` sees
    `author` from now on, or no more. CLEAR: all timelines with posts of `author`, beyond `position`.
    RENEW: those of `users`, a batch, who see more or less of somebody.
    """

    class Kind(models.TextChoices):
        """What is to be done."""

        PUSH = "push"
        UNPUSH = "unpush"
        RELATE = "relate"
        CLEAR = "clear"
        RENEW = "renew"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    author = models.BigIntegerField()
    post = models.CharField(max_length=LENGTH, default="")
    user = models.BigIntegerField(default=0)
    users = models.JSONField(default=list)
    position = models.BigIntegerField(default=-1)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.kind} {self.post or self.user} of {self.author}"


class IdempotencyKey(models.Model):
    """A request that its caller may repeat, and the answer it got; see feeds/idempotency.py.

    Under way while `answer` is empty: `claim` is then whose it is, since `claimed_at`.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=KEY_LENGTH)
    fingerprint = models.CharField(max_length=64)
    answer = models.TextField(default="")
    claim = models.CharField(max_length=32)
    claimed_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="feeds_idempotency_key_once")
        ]

    def __str__(self) -> str:
        return f"{self.key:.40} of {self.user_id}"
