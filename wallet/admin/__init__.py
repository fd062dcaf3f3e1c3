"""The back office's pages of the wallet: the ledger, read-only for everyone, and money on its way in.

The way an operator follows money: a person's page → Accounts → an account with its postings → an entry with all of its
postings and a link to what it happened to.
"""

from wallet.admin import freezes, ledger, money_in, reversals, verification

__all__ = ["freezes", "ledger", "money_in", "reversals", "verification"]
