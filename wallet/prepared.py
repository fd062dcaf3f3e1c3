"""Prepared statements as the ledger uses them: `superapp.prepared`, under the name it has always had here."""

from superapp.prepared import array, run

__all__ = ["array", "run"]
