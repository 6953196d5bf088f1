"""Ids are compared by code point, as the index's answers are: the same order whoever answers."""

from typing import Any

from django.db import migrations


def by_code_point(apps: Any, schema_editor: Any) -> None:
    # SQLite compares so by itself.
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            'ALTER TABLE places_place ALTER COLUMN id TYPE varchar(64) COLLATE "C"'
        )


class Migration(migrations.Migration):
    dependencies = [("places", "0001_initial")]

    operations = [migrations.RunPython(by_code_point, migrations.RunPython.noop)]
