"""SQL that stands in files of its own beside the migrations, so that it can be read as SQL."""

from pathlib import Path

from django.db import migrations


def run_sql_files(*, folder: str, forward: str, reverse: str) -> migrations.RunSQL:
    """A migration operation that runs `<folder>/<forward>`, and `<folder>/<reverse>` to undo it."""
    base = Path(__file__).resolve().parent.parent / folder
    return migrations.RunSQL(sql=(base / forward).read_text(), reverse_sql=(base / reverse).read_text())
