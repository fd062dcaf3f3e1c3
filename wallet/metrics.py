"""What the wallet shows of itself: top-ups that the bank has not answered, how its ledger was found, what is not sealed."""

from superapp import metrics
from wallet import sealing

metrics.waiting_work(
    queue="top_ups",
    state="instructed",
    rows="wallet_topup WHERE state = 'instructed'",
    # Ids are made in the order of requests, and the index of the unanswered is by id.
    oldest="SELECT requested_at FROM wallet_topup WHERE state = 'instructed' ORDER BY id LIMIT 1",
)

metrics.gauge(
    "superapp_ledger_breaks",
    "Rows that broke an invariant when this extent of verification last ran.",
    labels=["extent"],
    # The last of each: found among the newest by id, however many there have been.
    sql="SELECT e.extent, last.breaks FROM (VALUES ('full'), ('incremental')) AS e(extent) CROSS JOIN LATERAL "
    "(SELECT breaks FROM wallet_verificationrun v WHERE v.extent = e.extent ORDER BY v.id DESC LIMIT 1) last",
)
metrics.gauge(
    "superapp_ledger_verified_seconds_ago",
    "Since the last clean verification began.",
    sql="SELECT extract(epoch FROM %(now)s - max(started_at)) FROM wallet_verificationrun WHERE breaks = 0",
)
metrics.gauge(
    "superapp_ledger_unsealed_seconds",
    "How long the oldest entry that is in no seal has been known; 0: all are sealed.",
    sql=f"SELECT coalesce(extract(epoch FROM %(now)s - ({sealing.UNSEALED_SQL})), 0)",
)
metrics.gauge(
    "superapp_accounts_frozen",
    "Accounts with an open case.",
    sql="SELECT count(*) FROM wallet_accountfreeze WHERE lifted_at IS NULL",
)
