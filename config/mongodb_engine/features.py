"""What this engine can do, as Django asks for it.

Promise: says yes only to what is tested.
On failure: nothing can fail here.
"""

from django_mongodb_backend.features import DatabaseFeatures as Backend


class DatabaseFeatures(Backend):
    """See Django's BaseDatabaseFeatures."""

    has_select_for_update = True
    has_select_for_update_nowait = True
    has_select_for_update_skip_locked = True
    supports_ignore_conflicts = True
    supports_update_conflicts = True
    supports_update_conflicts_with_target = True
    supports_microsecond_precision = True
    supports_column_check_constraints = True
    supports_table_check_constraints = True
    # Asked by Django's TestCase alone, which means savepoints by it: tests are flushed here, not rolled back.
    supports_transactions = False
    supports_expression_indexes = True
    greatest_least_ignores_nulls = False
    can_rollback_ddl = False
    # Ids are looked for before an update that joins.
    update_can_self_select = False
