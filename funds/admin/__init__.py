"""The back office's pages for funds. Publishing a day's yield is the one thing that is done here; the rest is looked at."""

from funds.admin import catalogue, incomes, orders, publication, shortfalls

__all__ = ["catalogue", "incomes", "orders", "publication", "shortfalls"]
