"""What payments show of themselves: transfers that wait to be credited, or to go back."""

from payments.settlement import OLDEST_IN_LANES
from superapp import metrics

for _state, _oldest in (
    ("authorised", OLDEST_IN_LANES),
    ("returning", "SELECT due_at FROM payments_transfer WHERE state = 'returning' ORDER BY due_at, id LIMIT 1"),
):
    metrics.waiting_work(
        queue="transfers",
        state=_state,
        rows=f"payments_transfer WHERE state = '{_state}' AND due_at <= %(now)s",
        oldest=_oldest,
    )
