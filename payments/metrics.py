"""What payments show of themselves: transfers that wait to be credited, or to go back."""

from superapp import metrics

for _state in ("authorised", "returning"):
    metrics.waiting_work(
        queue="transfers",
        state=_state,
        rows=f"payments_transfer WHERE state = '{_state}' AND due_at <= %(now)s",
        oldest=f"SELECT due_at FROM payments_transfer WHERE state = '{_state}' ORDER BY due_at, id LIMIT 1",
    )
