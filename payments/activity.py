"""What payments tell of money that moved, and of money on its way: filled into the interfaces the wallet owns."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from django.db.models import Sum

from payments.flows import TRANSFER_RETURNED, TRANSFER_SENT, TRANSFER_SETTLED
from payments.models import Transfer
from payments.threads import transfers_seen_by
from wallet.activity import Story, tells_of
from wallet.wallets import brings_pending


@tells_of(TRANSFER_SENT, TRANSFER_SETTLED, TRANSFER_RETURNED)
def tell(viewer_id: UUID, transfer_ids: Sequence[UUID]) -> Mapping[UUID, Story]:
    """The other person and the note, for those of the transfers that are the viewer's."""
    rows = transfers_seen_by(viewer_id, transfer_ids).values_list("id", "sender_id", "recipient_id", "note")
    return {
        transfer_id: Story(
            subject_type="Transfer", counterparty_id=recipient if sender == viewer_id else sender, note=note
        )
        for transfer_id, sender, recipient, note in rows
    }


@brings_pending
def on_their_way(account_ids: Sequence[UUID]) -> Mapping[UUID, Decimal]:
    """What has been sent to these accounts and not yet been credited."""
    rows = (
        Transfer.objects.filter(recipient_account__in=account_ids, state=Transfer.State.AUTHORISED)
        .values("recipient_account_id")
        .annotate(total=Sum("amount"))
        .values_list("recipient_account_id", "total")
    )
    return {account_id: total or Decimal(0) for account_id, total in rows}
