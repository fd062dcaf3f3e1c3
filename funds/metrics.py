"""What funds show of themselves: orders whose day has come, and days whose income has not been paid.

The oldest order is looked for fund by fund, because the indexes of open orders begin with their fund.
"""

from superapp import metrics

_DUE = "first.effective_day::timestamp AT TIME ZONE f.zone"

_ORDERS = {
    "placed": "SELECT o.effective_day FROM funds_fundorder o WHERE o.fund_id = f.id AND o.state = 'placed' "
    "ORDER BY o.effective_day, o.id LIMIT 1",
    "left": "SELECT o.effective_day FROM funds_fundorder o WHERE o.fund_id = f.id AND o.state = 'left' "
    "ORDER BY o.id LIMIT 1",
}

for _state, _first in _ORDERS.items():
    metrics.waiting_work(
        queue="fund_orders",
        state=_state,
        rows=f"funds_fund f JOIN funds_fundorder o ON o.fund_id = f.id AND o.state = '{_state}' "
        "WHERE o.effective_day::timestamp AT TIME ZONE f.zone <= %(now)s",
        oldest=f"SELECT min({_DUE}) FROM funds_fund f CROSS JOIN LATERAL ({_first}) first",
    )
