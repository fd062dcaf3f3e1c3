"""The table of locks is the code's: none is taken that it does not name, and none is named that no test forces."""

import importlib
import pkgutil

import tests.concurrency
from tests.concurrency.locks import LOCKS, forced, places_in_the_code


def test_every_lock_the_code_takes_is_in_the_table_and_the_other_way_round() -> None:
    assert {place for lock in LOCKS for place in lock.places} == places_in_the_code()


def test_every_lock_of_the_table_is_forced_by_a_test() -> None:
    for module in pkgutil.iter_modules(tests.concurrency.__path__):
        if module.name.startswith("test_"):
            importlib.import_module(f"tests.concurrency.{module.name}")
    assert [lock.name for lock in LOCKS if lock.name not in forced()] == []
