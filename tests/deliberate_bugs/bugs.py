"""The list: what is broken, how, and which tests are to notice. Grouped by what the broken rule protects."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One replacement in one file. `breaks`: the rule in words. `tests`: what must notice, as pytest names them."""

    name: str
    breaks: str
    file: str
    was: str
    becomes: str
    tests: tuple[str, ...]


LOCKS = (
    Bug(
        name="post-without-lock",
        breaks="An account is locked before it is read and decided on.",
        file="wallet/ledger.py",
        was="    ORDER BY id\n    FOR NO KEY UPDATE\n",
        becomes="    ORDER BY id\n",
        tests=("tests/concurrency/test_ledger_races.py", "tests/concurrency/test_locks_of_money.py"),
    ),
    Bug(
        name="post-locks-in-its-own-order",
        breaks="Accounts are locked in the order of their ids.",
        file="wallet/ledger.py",
        was="    ORDER BY id\n    FOR NO KEY UPDATE\n",
        becomes="    ORDER BY id DESC\n    FOR NO KEY UPDATE\n",
        tests=("tests/concurrency/test_locks_of_money.py",),
    ),
    Bug(
        name="pair-takes-from-a-frozen-account",
        breaks="A frozen account gives nothing, whichever way a payment is written.",
        file="wallet/ledger_pairs.py",
        was="OR NOT a.frozen AND a.balance",
        becomes="OR a.balance",
        tests=("tests/wallet/test_ledger_pairs.py",),
    ),
    Bug(
        name="pair-decides-without-what-is-held",
        breaks="What is held is not available.",
        file="wallet/ledger_pairs.py",
        was="a.balance - a.held + a.credit_limit",
        becomes="a.balance + a.credit_limit",
        tests=("tests/wallet/test_ledger_pairs.py",),
    ),
    Bug(
        name="fund-door-without-lock",
        breaks="What is posted back into a fund keeps its day from being frozen.",
        file="funds/entitlement.py",
        was="Fund.objects.select_for_update(no_key=True).get(pk=fund.pk)",
        becomes="Fund.objects.get(pk=fund.pk)",
        tests=("tests/concurrency/test_locks_of_runs.py",),
    ),
    Bug(
        name="callback-without-lock",
        breaks="Two messages of the bank about one top-up are acted on one after the other.",
        file="wallet/bank_callbacks.py",
        was="TopUp.objects.select_for_update(no_key=True).filter(id=reference, rail=rail)",
        becomes="TopUp.objects.filter(id=reference, rail=rail)",
        tests=("tests/concurrency/test_locks_of_money.py",),
    ),
)

TIME_AND_SNAPSHOTS = (
    Bug(
        name="fold-without-horizon",
        breaks="Folding takes only postings below the snapshot's xmin.",
        file="wallet/folding.py",
        was="SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS tx",
        becomes="SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS tx",
        tests=("tests/wallet/test_folding.py", "tests/concurrency/test_locks_of_money.py"),
    ),
    Bug(
        name="freeze-without-horizon",
        breaks="A day is frozen only when every transaction that was open at its end has ended.",
        file="funds/entitlement.py",
        was="WHERE open.tx::text::bigint < horizon AND NOT EXISTS (",
        becomes="WHERE false AND NOT EXISTS (",
        tests=("tests/concurrency/test_locks_of_runs.py",),
    ),
    Bug(
        name="recorded-time-falls",
        breaks="Recorded time never falls on one account.",
        file="wallet/ledger.py",
        was="return max([clock.now(), *(time for time in last_times if time is not None)])",
        becomes="return clock.now()",
        tests=("tests/wallet/test_ledger.py", "tests/concurrency/test_locks_of_money.py"),
    ),
    Bug(
        name="recorded-time-of-a-pair-falls",
        breaks="Recorded time never falls on one account.",
        file="wallet/ledger_pairs.py",
        was="last_recorded_at = greatest(a.last_recorded_at, {clock.SQL})",
        becomes="last_recorded_at = {clock.SQL}",
        tests=("tests/wallet/test_ledger_pairs.py",),
    ),
    Bug(
        name="cut-off-a-moment-late",
        breaks="The cut-off itself is too late for its day.",
        file="funds/trading.py",
        was="local.time() < cut_off",
        becomes="local.time() <= cut_off",
        tests=("tests/funds/test_trading.py",),
    ),
    Bug(
        name="policy-ignores-its-instant",
        breaks="The past of a policy is never rewritten.",
        file="superapp/policies.py",
        was="    if begins < here:\n",
        becomes="    if begins < here and False:\n",
        tests=("tests/superapp/test_policies.py",),
    ),
)

MONEY = (
    Bug(
        name="float-for-decimal",
        breaks="Amounts are decimals, never floats.",
        file="funds/arithmetic.py",
        was="    exact = EXACT.multiply(entitled, rate_of(per_10k))\n",
        becomes="    exact = Decimal(float(entitled) * float(rate_of(per_10k)))\n",
        tests=("tests/funds/test_arithmetic.py",),
    ),
    Bug(
        name="cut-half-up",
        breaks="Income is cut toward zero.",
        file="funds/arithmetic.py",
        was="return amount.quantize(step_of(decimals), rounding=ROUND_DOWN, context=ROUNDED)",
        becomes="return amount.quantize(step_of(decimals), rounding=ROUND_HALF_UP, context=ROUNDED)",
        tests=("tests/funds/test_arithmetic.py",),
    ),
    Bug(
        name="ties-by-the-wrong-end",
        breaks="What the cuts leave goes to the largest fractions, ties by account id.",
        file="funds/leftover.py",
        was="return self.account is None or account <= self.account",
        becomes="return self.account is None or account >= self.account",
        tests=("tests/funds/test_leftover.py",),
    ),
    Bug(
        name="income-posted-on-totals-that-disagree",
        breaks="A day of income is posted only once what its batches counted adds up to what the day pays.",
        file="funds/income_days.py",
        was="            _check_before_posting(run, figures)\n",
        becomes="",
        tests=("tests/funds/test_income_runs.py",),
    ),
    Bug(
        name="income-day-closed-without-a-look",
        breaks="A day counts as paid only if its batches posted what it pays.",
        file="funds/income_days.py",
        was="    if fault is not None:\n        runs.stop(run, fault)\n        return False\n",
        becomes="",
        tests=("tests/funds/test_income_runs.py",),
    ),
    Bug(
        name="income-paid-half-up",
        breaks="Income is cut toward zero, where it is paid.",
        file="funds/income_sql.py",
        was='PAID_SQL = f"trunc({ENTITLED_SQL}',
        becomes='PAID_SQL = f"round({ENTITLED_SQL}',
        tests=("tests/funds/test_income_interleaved.py",),
    ),
    Bug(
        name="income-paid-half-up-under-locks",
        breaks="Income is cut toward zero, where losses and corrections are posted.",
        file="funds/income_sql.py",
        was='cut = f"trunc({exact}, %(decimals)s::int)"',
        becomes='cut = f"round({exact}, %(decimals)s::int)"',
        tests=("tests/funds/test_income_runs.py",),
    ),
    Bug(
        name="income-counted-half-up",
        breaks="Incomes are counted as they are cut.",
        file="funds/income_sql.py",
        was='else f"{dividend} / {divisor}"',
        becomes='else f"round({dividend}::numeric / {divisor})::bigint"',
        tests=("tests/funds/test_daily_income.py",),
    ),
    Bug(
        name="ties-paid-by-the-wrong-end",
        breaks="Of equal fractions the lower account ids get a cent, where income is paid.",
        file="funds/income_sql.py",
        was='_LIFT = "CASE WHEN a.id <= %(last)s',
        becomes='_LIFT = "CASE WHEN a.id >= %(last)s',
        tests=("tests/funds/test_income_interleaved.py",),
    ),
    Bug(
        name="last-step-trusted-where-nobody-looked",
        breaks="Where the last step fell elsewhere than expected, the fractions are counted again.",
        file="funds/income_figures.py",
        was='return near is None or near["first"] <= bucket <= near["last"]',
        becomes="return near is None or bucket >= 0",
        tests=("tests/funds/test_income_interleaved.py",),
    ),
    Bug(
        name="available-forgets-holds",
        breaks="What is held cannot be spent.",
        file="wallet/ledger.py",
        was="return self.balance - self.held + self.credit_limit",
        becomes="return self.balance + self.credit_limit",
        tests=("tests/wallet/test_holds.py",),
    ),
    Bug(
        name="amounts-of-other-scripts",
        breaks="An amount is written in ASCII digits.",
        file="superapp/graphql/scalars.py",
        was='re.compile(r"(?:0|[1-9][0-9]{0,19})(?:\\.[0-9]{1,10})?", re.ASCII)',
        becomes='re.compile(r"(?:0|[1-9]\\d{0,19}|\\d{1,20})(?:\\.\\d{1,10})?")',
        tests=("tests/api/test_amounts.py",),
    ),
)

ONCE = (
    Bug(
        name="key-not-kept",
        breaks="A key has at most one effect.",
        file="superapp/idempotency.py",
        was="            if key_id is None:\n                return self._told_by_duplicate()\n            try:\n",
        becomes="            try:\n",
        tests=("tests/superapp/test_idempotency.py",),
    ),
    Bug(
        name="fingerprint-forgets-what-was-asked",
        breaks="A key used for another request is refused.",
        file="superapp/idempotency.py",
        was="        [operation, _canonical(request)], ensure_ascii=True",
        becomes="        [operation, sorted(request)], ensure_ascii=True",
        tests=("tests/superapp/test_idempotency.py",),
    ),
    Bug(
        name="refusal-not-stored",
        breaks="A refused key stays refused.",
        file="superapp/idempotency.py",
        was='        if self._insert(refusal=refusal.code, answer={"facts": refusal.facts(), "path": refusal.path}) is None:\n'
        "            return self._told_by_duplicate()\n",
        becomes="",
        tests=("tests/superapp/test_idempotency.py",),
    ),
    Bug(
        name="dry-run-that-commits",
        breaks="A dry run leaves nothing behind.",
        file="superapp/idempotency.py",
        was="        known = act()\n        transaction.set_rollback(True)\n    return Done",
        becomes="        known = act()\n    return Done",
        tests=("tests/superapp/test_idempotency.py",),
    ),
    Bug(
        name="acknowledged-early",
        breaks="An event is marked as delivered only after its handler has done its work.",
        file="superapp/outbox.py",
        was="            fault = _hand_over(event)\n            if fault is None:\n",
        becomes="            fault = None\n            if _hand_over(event) or fault is None:\n",
        tests=("tests/superapp/test_outbox.py",),
    ),
    Bug(
        name="acks-before-the-work",
        breaks="A message goes back to the broker's queue when its worker dies.",
        file="config/settings/celery.py",
        was="CELERY_TASK_ACKS_LATE = True",
        becomes="CELERY_TASK_ACKS_LATE = False",
        tests=("tests/config/test_environment.py",),
    ),
    Bug(
        name="message-of-the-bank-twice",
        breaks="A message of the bank is acted on once.",
        file="wallet/bank_callbacks.py",
        was="        elif kept.outcome != Outcome.REFUSED:\n            return kept\n",
        becomes="",
        tests=("tests/wallet/test_top_ups.py",),
    ),
)

GUARDS = (
    Bug(
        name="no-sum-trigger",
        breaks="The database refuses an entry that does not sum to zero.",
        file="wallet/sql/ledger_rules.sql",
        was="WHERE w.total <> 0 OR w.tx <> this_tx",
        becomes="WHERE w.tx <> this_tx",
        tests=("tests/wallet/test_ledger.py",),
    ),
    Bug(
        name="site-may-change-postings",
        breaks="The site's role may only read and append entries and postings.",
        file="wallet/sql/grants.sql",
        was="GRANT SELECT, INSERT ON wallet_posting, wallet_journalentry TO superapp_site;",
        becomes="GRANT SELECT, INSERT, UPDATE ON wallet_posting, wallet_journalentry TO superapp_site;",
        tests=("tests/wallet/test_ledger.py",),
    ),
    Bug(
        name="reversal-without-a-second-person",
        breaks="The database refuses a reversal that no second person approved.",
        file="wallet/sql/reversal_approval.sql",
        was=" AND r.reversal_id = NEW.id\n          AND r.state = 'approved' AND r.decided_by_id <> r.requested_by_id\n",
        becomes="\n",
        tests=("tests/wallet/test_reversals.py",),
    ),
    Bug(
        name="thawed-by-hand",
        breaks="An account whose case is open stays frozen, whoever says otherwise.",
        file="wallet/sql/freeze_lifting.sql",
        was="WHEN (OLD.frozen AND NOT NEW.frozen)",
        becomes="WHEN (false)",
        tests=("tests/wallet/test_freezes.py",),
    ),
    Bug(
        name="pin-tries-not-counted-first",
        breaks="A PIN's try is counted and committed before the look.",
        file="wallet/pins.py",
        was="with transaction.atomic(durable=True), connection.cursor() as cursor:",
        becomes="with transaction.atomic(), connection.cursor() as cursor:",
        tests=("tests/wallet/test_pins.py",),
    ),
)


SETS_AND_DAYS = (
    Bug(
        name="credits-for-closed-accounts",
        breaks="What is credited without a lock of its own is decided by the row as its last writer left it.",
        file="wallet/credit_sets.py",
        was="        WHERE a.id = b.account_id AND NOT a.folded AND NOT a.closed\n",
        becomes="        WHERE a.id = b.account_id AND NOT a.folded\n",
        tests=("tests/wallet/test_credit_sets.py", "tests/payments/test_settlement.py"),
    ),
    Bug(
        name="a-set-in-any-order",
        breaks="A set is its items one by one, in their order.",
        file="wallet/credit_sets.py",
        was="array_agg(c.item ORDER BY c.place) AS items",
        becomes="array_agg(c.item ORDER BY c.place DESC) AS items",
        tests=("tests/wallet/test_credit_sets.py", "tests/payments/test_settlement.py"),
    ),
    Bug(
        name="income-falls-back-in-time",
        breaks="An account somebody has written to since the recording time was taken is left to the way that locks.",
        file="wallet/ledger_days.py",
        was="AND a.last_recorded_at <= %(pay_recorded_at)s AND {condition}",
        becomes="AND {condition}",
        tests=("tests/wallet/test_ledger_days.py",),
    ),
)

ASSURANCE = (
    Bug(
        name="seal-without-horizon",
        breaks="A block ends where every transaction has ended: none commits into it late.",
        file="wallet/sealing.py",
        was='cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")',
        becomes='cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")',
        tests=("tests/wallet/test_sealing.py",),
    ),
    Bug(
        name="seal-without-its-predecessor",
        breaks="Each block's digest covers the one before.",
        file="wallet/sealing.py",
        was="           sha256(%(previous)s || convert_to(",
        becomes="           sha256(convert_to(",
        tests=("tests/wallet/test_sealing.py", "tests/wallet/test_seal_checks.py"),
    ),
    Bug(
        name="frozen-accounts-spend",
        breaks="No money leaves an account whose books are being looked at.",
        file="wallet/ledger.py",
        was="        if leg.amount < 0 and account.frozen:\n",
        becomes="        if leg.amount < 0 and account.frozen and account.closed:\n",
        tests=("tests/wallet/test_freezes.py",),
    ),
    Bug(
        name="capacity-above-its-ceiling",
        breaks="What many share is never exceeded.",
        file="wallet/capacity.py",
        was="    ) AND total = %(total)s AND used + %(amount)s <= ceiling\n",
        becomes="    ) AND total = %(total)s\n",
        tests=("tests/wallet/test_capacity.py",),
    ),
    Bug(
        name="lapsed-hold-captured",
        breaks="From its term on nothing of a hold can be captured, whether or not the sweep has come by.",
        file="wallet/holds.py",
        was="        if hold.lapses_at is not None and hold.lapses_at <= at:\n",
        becomes="        if hold.lapses_at is not None and hold.lapses_at < at:\n",
        tests=("tests/wallet/test_hold_terms.py",),
    ),
    Bug(
        name="usage-never-given-back",
        breaks="A returned movement frees what it has used.",
        file="wallet/usage.py",
        was="        sign = 1 if uses.gives_back else -1\n",
        becomes="        sign = 0 if uses.gives_back else -1\n",
        tests=("tests/wallet/test_usage.py",),
    ),
    Bug(
        name="reversal-decided-twice",
        breaks="A reversal is decided once, and the database says so.",
        file="wallet/sql/reversal_requests.sql",
        was="    IF OLD.state <> 'requested' OR (NEW.id",
        becomes="    IF (NEW.id",
        tests=("tests/wallet/test_reversals.py",),
    ),
    Bug(
        name="small-payments-beyond-the-day",
        breaks="What leaves without PIN on one day stays within its policy.",
        file="wallet/small_payments.py",
        was="      AND CASE WHEN small_day >= %s::date THEN small_spent ELSE 0 END + %s::numeric <= %s::numeric\n",
        becomes="      AND CASE WHEN small_day >= %s::date THEN 0 ELSE 0 END + %s::numeric <= %s::numeric\n",
        tests=("tests/wallet/test_small_payments.py",),
    ),
)

BUGS: tuple[Bug, ...] = (*LOCKS, *TIME_AND_SNAPSHOTS, *MONEY, *ONCE, *SETS_AND_DAYS, *ASSURANCE, *GUARDS)
