"""The parties of a transfer: who is paid, from which wallet into which, and in which thread; read in one statement.

What is read here never changes once it is there (ids, whose wallet it is) or is decided again under the ledger's locks
(whether a wallet is closed or frozen), so it is read before the transaction and outside of it. What is missing, a thread or
the recipient's wallet, is opened inside.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from payments.errors import CannotPayYourself, PayeeNotFound
from payments.payees import Payee
from superapp import people
from superapp.models import User
from superapp.prepared import run
from wallet.accounts import currency_asset
from wallet.errors import WalletNotOpen
from wallet.flows import WALLET

_READ_SQL = """
    SELECT p.id, p.display_name, p.handle, p.is_active AND NOT p.is_staff, p.findable_by_phone, target.id, t.id, payer.wallet
    FROM (SELECT %s::uuid AS id, (SELECT a.id FROM wallet_account a
                                  WHERE a.owner_id = %s::uuid AND a.asset_id = %s::smallint AND a.kind = %s::text
                                    AND a.scope = '' AND a.slot = 0) AS wallet) payer
    LEFT JOIN superapp_user p ON p.{way} = %s::{type}
    LEFT JOIN wallet_account target ON target.owner_id = p.id AND target.asset_id = %s::smallint AND target.kind = %s::text
                                   AND target.scope = '' AND target.slot = 0
    LEFT JOIN payments_thread t ON t.low_id = least(p.id, payer.id) AND t.high_id = greatest(p.id, payer.id)
"""

_WAYS = {
    "id": _READ_SQL.format(way="id", type="uuid"),
    "phone": _READ_SQL.format(way="phone", type="text"),
    "handle": _READ_SQL.format(way="handle", type="text"),
}


@dataclass(frozen=True, slots=True)
class Parties:
    """What was found, whole or not; `refuse` says what is missing."""

    sender_id: UUID
    currency: str
    recipient: User | None
    """Id and what the payer may see of them: display name and handle; None for somebody who cannot be paid."""
    source_id: UUID | None
    """The sender's wallet in the currency."""
    target_id: UUID | None
    """The recipient's; None: to be opened."""
    thread_id: UUID | None
    """What the two have between them; None: to be opened."""

    def complete(self) -> tuple[User, UUID]:
        """The recipient and the sender's wallet. Raises PayeeNotFound, CannotPayYourself, WalletNotOpen."""
        if self.recipient is None:
            raise PayeeNotFound
        if self.recipient.pk == self.sender_id:
            raise CannotPayYourself
        if self.source_id is None:
            raise WalletNotOpen(currency=self.currency)
        return self.recipient, self.source_id


def read(*, sender_id: UUID, to: Payee, currency: str) -> Parties:
    """Reads who and what a payment is between. Raises InvalidAmount for a currency the system does not carry.

    Nobody is found under a name that is not exactly one, nor under a phone number whose owner does not want to be found by
    it, nor where it is a person who has been deactivated or an operator: the answers do not differ.
    """
    asset_id = currency_asset(currency).id
    way, name = _named(to)
    (row,) = run(_WAYS[way], (sender_id, sender_id, asset_id, WALLET.code, name, asset_id, WALLET.code))
    found, display_name, handle, payable, findable, target_id, thread_id, source_id = row
    hidden = way == "phone" and not findable
    return Parties(
        sender_id=sender_id,
        currency=currency,
        recipient=_person(found, display_name, handle) if payable and not hidden else None,
        source_id=source_id,
        target_id=target_id,
        thread_id=thread_id,
    )


def _person(*columns: object) -> User:
    """Who is paid, as far as they were read; made as the ORM makes what it reads, without defaults for all the rest."""
    return User.from_db(DEFAULT_DB_ALIAS, ("id", "display_name", "handle"), columns)


def _named(to: Payee) -> tuple[str, str | None]:
    """The one way of naming them and the name as it is stored; None, which nobody bears, for what is no name."""
    match list(to.as_request().items()):
        case [("phone", phone)]:
            try:
                return "phone", people.normal_phone(phone)
            except people.InvalidPhone:
                return "phone", None
        case [(way, name)]:
            return way, name
    return "id", None
