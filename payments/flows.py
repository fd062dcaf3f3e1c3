"""What payments do to the ledger: a transfer is two entries, from the sender into transit and from there to its end."""

from wallet.flows import (
    IN_TRANSIT,
    WALLET,
    counts,
    credit,
    debit,
    declare_kind,
    declare_usage_class,
    gives_back,
)

TRANSFER = declare_usage_class("transfer", "Sent to other people; what came back is taken off the day it was sent on.")

TRANSFER_SENT = declare_kind(
    "transfer_sent",
    legs=[debit(WALLET), credit(IN_TRANSIT)],
    description="A person sends money: it leaves their wallet at once and waits in transit.",
    uses=counts(TRANSFER),
)
TRANSFER_SETTLED = declare_kind(
    "transfer_settled",
    legs=[debit(IN_TRANSIT), credit(WALLET)],
    description="A settlement worker hands what is due in transit to its recipients.",
)
TRANSFER_RETURNED = declare_kind(
    "transfer_returned",
    legs=[debit(IN_TRANSIT), credit(WALLET)],
    description="What its recipient's wallet could not take when it was due (it is closed) goes back to its sender, whole.",
    uses=gives_back(TRANSFER, of=TRANSFER_SENT),
)
