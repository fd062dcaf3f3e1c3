"""What the wallet shows of itself: top-ups that the bank has not answered."""

from superapp import metrics

metrics.waiting_work(
    queue="top_ups",
    state="instructed",
    rows="wallet_topup WHERE state = 'instructed'",
    # Ids are made in the order of requests, and the index of the unanswered is by id.
    oldest="SELECT requested_at FROM wallet_topup WHERE state = 'instructed' ORDER BY id LIMIT 1",
)
