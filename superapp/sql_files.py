"""SQL as SQL: files of its own beside the migrations, and the type of what a statement takes by name."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import migrations

SqlParameters = Mapping[str, int | Decimal | str | bytes | date | datetime | UUID | list[Any] | None]
"""What a statement takes by name (`%(name)s`)."""


def run_sql_files(*, folder: str, forward: str, reverse: str) -> migrations.RunSQL:
    """A migration operation that runs `<folder>/<forward>`, and `<folder>/<reverse>` to undo it."""
    base = Path(__file__).resolve().parent.parent / folder
    return migrations.RunSQL(sql=(base / forward).read_text(), reverse_sql=(base / reverse).read_text())
