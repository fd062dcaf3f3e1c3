"""The back office's pages for people, policy, calendars and what runs by itself.

Other apps lean on two things here: `ReadOnlyAdmin`, for rows that only code writes, and `PERSON_LINKS`, to which an
app's admin pages append what they know of a person ("Accounts", a list already filtered), so that an operator gets from
a phone number to the money in three clicks.
"""

from superapp.admin import policies, requests, runs
from superapp.admin.people import PERSON_LINKS
from superapp.admin.read_only import EMPTY, ReadOnlyAdmin, ReadOnlyInline

__all__ = ["EMPTY", "PERSON_LINKS", "ReadOnlyAdmin", "ReadOnlyInline", "policies", "requests", "runs"]
