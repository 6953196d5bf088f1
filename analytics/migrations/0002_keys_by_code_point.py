"""Keys are compared by code point on every database: ties of a ranking have one order."""

from typing import Any

from django.db import migrations

COLUMNS = {
    "analytics_order": "id",
    "analytics_bucket": "key",
    "analytics_windowtotal": "key",
}


def by_code_point(apps: Any, schema_editor: Any) -> None:
    # SQLite compares so by itself.
    if schema_editor.connection.vendor == "postgresql":
        for table, column in COLUMNS.items():
            schema_editor.execute(
                f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar(64) COLLATE "C"'
            )


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_initial")]

    operations = [migrations.RunPython(by_code_point, migrations.RunPython.noop)]
