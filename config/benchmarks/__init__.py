"""How fast the ledger's paths are, measured against the plainest SQL that writes the same rows.

    manage.py benchmark ledger        one transfer at a time, through `wallet.ledger.post`
    manage.py benchmark settlement    transfers credited in sets, through real workers
    manage.py benchmark income        one day of a fund's income, through real workers

Each works in a database of its own on the site's server and drops it. Machines differ, and so do minutes of one machine:
what counts is the ratio to the limit, the median of rounds in which both take turns. See `docs/performance.md`.
"""
