"""Tables of the catalog: categories, and products by a string id.

Promise: what the database holds is valid (price and stock never negative, no product without its
category), and every write announces what it changed; see catalog/changes.py.
On failure: Django's own errors; IntegrityError for a row the constraints refuse. Knows no Redis.
"""

import re
from collections.abc import Iterable
from typing import Any

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models, router, transaction
from django.db.models.base import ModelBase
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from catalog.changes import (
    MEMBERSHIP,
    CategoryQuerySet,
    ProductQuerySet,
    all_fields,
    announce_products,
    categories_changed,
    field_names,
)
from rest.ids import sortable_id

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME_LENGTH = 200
SLUG_LENGTH = 64
DESCRIPTION_LENGTH = 10_000
MOST_STOCK = 2_147_483_647
PRICE_DIGITS = 10
PRICE_PLACES = 2


def new_product_id() -> str:
    """Return an id for a product that comes without one."""
    return sortable_id("prod_")


class Category(models.Model):
    """A kind of product, named by its slug."""

    slug = models.SlugField(max_length=SLUG_LENGTH, primary_key=True)
    name = models.CharField(max_length=NAME_LENGTH)

    objects = CategoryQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "categories"
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """Something for sale. Inactive products are in no listing, but are still answered by id."""

    id = models.CharField(
        primary_key=True,
        max_length=64,
        default=new_product_id,
        validators=[RegexValidator(rf"\A{ID.pattern}\Z", "Letters, digits, '_' and '-' only.")],
    )
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True, default="", max_length=DESCRIPTION_LENGTH)
    price = models.DecimalField(
        max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, validators=[MinValueValidator(0)]
    )
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    stock = models.PositiveIntegerField(default=0)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProductQuerySet.as_manager()

    # Where the save under way moves this product from and to.
    moved_between: set[str]

    class Meta:
        ordering = ["id"]
        # Related managers write through the base manager: those writes announce themselves too.
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=~models.Q(id=""), name="catalog_product_has_id"),
            models.CheckConstraint(condition=~models.Q(name=""), name="catalog_product_has_name"),
            models.CheckConstraint(condition=models.Q(price__gte=0), name="catalog_product_price"),
        ]
        indexes = [
            # Partial, because SQLite seeks nothing by a bare boolean.
            models.Index(
                fields=["category", "id"],
                condition=models.Q(is_active=True),
                name="catalog_product_listing",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save_base(
        self,
        raw: bool = False,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """As Django's, in one transaction with the look at the old row and the announcement."""
        using = using or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using, savepoint=False):
            if update_fields is not None:
                update_fields = frozenset({*update_fields, "updated_at"})
            super().save_base(raw, force_insert, force_update, using, update_fields)

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """As Django's."""
        using = using or router.db_for_write(type(self), instance=self)
        id_ = self.pk
        with transaction.atomic(using=using, savepoint=False):
            before = Product.objects.using(using).filter(pk=id_).categories_locked()
            deleted = super().delete(using=using, keep_parents=keep_parents)
            announce_products(
                Product,
                ids=[id_],
                categories={*before.values(), self.category_id},
                fields=all_fields(Product),
                using=using,
            )
        return deleted


@receiver(pre_save, sender=Product)
def _look_before_save(
    instance: Product, using: str, update_fields: Iterable[str] | None, **_kwargs: Any
) -> None:
    # A signal and not `save_base`, because loaddata goes past the model's own methods.
    instance.moved_between = {instance.category_id}
    if update_fields is not None and not MEMBERSHIP & field_names(Product, update_fields):
        return
    row = Product.objects.using(using).filter(pk=instance.pk)
    if transaction.get_connection(using).in_atomic_block:
        row = row.select_for_update()
    instance.moved_between.update(row.values_list("category_id", flat=True))


@receiver(post_save, sender=Product)
def _announce_save(
    instance: Product,
    created: bool,
    using: str,
    update_fields: Iterable[str] | None,
    **_kwargs: Any,
) -> None:
    whole = created or update_fields is None
    announce_products(
        Product,
        ids=[instance.pk],
        categories=instance.moved_between,
        fields=all_fields(Product) if whole else field_names(Product, update_fields or ()),
        using=using,
    )


@receiver([post_save, post_delete], sender=Category)
def _announce_category(using: str, **_kwargs: Any) -> None:
    categories_changed.send(sender=Category, using=using)
