"""What this engine can do, as Django asks for it.

Promise: says yes only to what is tested.
On failure: nothing can fail here.
"""

from djongo.features import DatabaseFeatures as Djongo


class DatabaseFeatures(Djongo):  # type: ignore[misc]
    """See Django's BaseDatabaseFeatures."""

    has_select_for_update = True
    has_select_for_update_nowait = True
    has_select_for_update_skip_locked = True
    supports_ignore_conflicts = True
    supports_update_conflicts = True
    supports_update_conflicts_with_target = True
    can_return_columns_from_insert = True
    can_return_rows_from_bulk_insert = True
    has_native_uuid_field = False
    supports_timezones = True
    supports_over_clause = False
    supports_select_union = False
    supports_select_intersection = False
    supports_select_difference = False
    supports_json_field = False
    supports_foreign_keys = False
    supports_column_check_constraints = True
    supports_table_check_constraints = True
    supports_expression_indexes = True
    supports_partial_indexes = True
    supports_boolean_expr_in_select_clause = True
    test_db_allows_multiple_connections = True
    # Asked by Django's TestCase alone, which means savepoints by it: tests are flushed here.
    supports_transactions = False
    can_rollback_ddl = False
    uses_savepoints = False
    update_can_self_select = False
    max_query_params = None
