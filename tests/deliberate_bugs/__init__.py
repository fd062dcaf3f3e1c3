"""Deliberate bugs: each rule broken once, in a copy of the checkout, to show that a test notices.

    python -m tests.deliberate_bugs                     every bug; a table, one JSON line, exit code 1 if any goes unnoticed
    python -m tests.deliberate_bugs fold-without-horizon  some by name
    python -m tests.deliberate_bugs --list              which there are

A bug is one small replacement in one file. The tests named beside it must pass on the untouched copy and at least one of
them must fail on the broken one; which one failed is shown. `tests/deliberate_bugs/test_bugs.py` keeps the list from
rotting: every replacement still applies, every test named is still there.
"""
