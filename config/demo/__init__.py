"""`make demo`: the story of the sandbox told in a terminal, by real API calls to a real server, in under two minutes.

module      what it is
sandbox     a fresh sandbox in a folder of its own, served by `manage.py run` as anybody's is; gone afterwards
front_end   what a phone would send: sign-in, and the ready-made operations of GraphiQL
story       who does what; every figure is read from an answer, from the ledger or from the trial balance
stage       how it looks: headings, tables, a line of a chart
"""
