"""What the kernel shows of itself: the outbox, runs, and who waits for a lock in the database."""

from superapp import metrics

metrics.waiting_work(
    queue="outbox",
    state="undelivered",
    rows="superapp_outboxevent WHERE delivered_at IS NULL AND available_at <= %(now)s",
    oldest="SELECT available_at FROM superapp_outboxevent WHERE delivered_at IS NULL ORDER BY available_at, id LIMIT 1",
)

_TRIED_OR_DUE = """
    SELECT attempts, created_at, available_at FROM superapp_outboxevent
    WHERE delivered_at IS NULL AND available_at <= %(now)s + interval '15 minutes'
      AND (attempts > 0 OR available_at <= %(now)s)
    ORDER BY available_at, id LIMIT 1000
"""
"""What is due, and what has failed and waits for its next try, which is at most `outbox.LONGEST_RETRY_SECONDS` away."""

metrics.gauge(
    "superapp_outbox_lag_seconds",
    "How long the oldest event has waited since it was first due, failed tries included.",
    sql=f"""
        SELECT coalesce(max(extract(epoch FROM CASE
            WHEN attempts > 0 THEN statement_timestamp() - created_at ELSE %(now)s - available_at END)), 0)
        FROM ({_TRIED_OR_DUE}) e
    """,
)

metrics.gauge(
    "superapp_outbox_failing",
    "Events whose delivery has failed at least once and that wait for another try, counted up to 1,000.",
    sql=f"SELECT count(*) FROM ({_TRIED_OR_DUE}) e WHERE attempts > 0",
)

metrics.waiting_work(
    queue="runs",
    state="unfinished",
    rows="superapp_run WHERE state IN ('open', 'counting', 'posting')",
    oldest="SELECT min(opened_at) FROM superapp_run WHERE state IN ('open', 'counting', 'posting')",
)

metrics.gauge(
    "superapp_runs_stopped",
    "Runs that a check has stopped, by kind; each waits for an operator.",
    labels=["kind"],
    sql="SELECT kind, count(*) FROM superapp_run WHERE state = 'stopped' GROUP BY kind",
)

metrics.gauge(
    "superapp_run_progress_ratio",
    "How far unfinished runs are, by kind and state: steps done over steps planned; each batch is counted, then posted.",
    labels=["kind", "state"],
    sql="""
        SELECT r.kind, r.state,
               coalesce(sum(CASE b.state WHEN 'posted' THEN 2 WHEN 'counted' THEN 1 ELSE 0 END)
                        / nullif(2.0 * count(b.id), 0), 0)
        FROM superapp_run r LEFT JOIN superapp_runbatch b ON b.run_id = r.id
        WHERE r.state IN ('open', 'counting', 'posting')
        GROUP BY r.kind, r.state
    """,
)

metrics.gauge(
    "superapp_database_lock_waiters",
    "Sessions of this server that wait for a lock right now.",
    sql="SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted",
)

metrics.gauge(
    "superapp_database_longest_lock_wait_seconds",
    "How long the one that has waited longest has done so.",
    sql="SELECT coalesce(extract(epoch FROM clock_timestamp() - min(waitstart)), 0) FROM pg_locks WHERE NOT granted",
)
