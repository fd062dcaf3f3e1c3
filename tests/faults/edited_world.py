"""A world with something of everything: top-ups, transfers, holds, fund orders, income days, a loss, reversals, folds."""

from funds.models import Fund
from payments import settlement
from superapp.models import User
from tests import factories
from tests.funds import scenes
from tests.waiting import wait_until
from wallet import folding, reversals, sealing, verification_runs
from wallet.models import TopUp
from wallet.verification import Finding
from wallet.verification_runs import Extent

YIELDS = {"2013-07-01": "1.4523", "2013-07-02": "1.3987", "2013-07-03": "-0.9000", "2013-07-04": "1.2001"}


class EditedWorld:
    """People with money on its way, and a fund that has paid income, a loss among it."""

    def __init__(self) -> None:
        self.fund: Fund = scenes.a_fund()
        self.operators = [factories.an_operator(), factories.an_operator()]
        self.savers: list[User] = [scenes.a_saver(self.fund, "2000.00") for _ in range(4)]
        with scenes.on("2013-06-28", "09:00"):
            self.payers = [factories.a_payer("300.00") for _ in range(3)]
            self._pay(2)
        with scenes.on("2013-06-28", "10:00"):
            for number, saver in enumerate(self.savers):
                scenes.buy(saver, self.fund, f"{1000 + 100 * number}.00")
        for day in range(1, 5):
            with scenes.on(f"2013-07-0{day}", "10:30"):
                if day == 2:
                    scenes.sell(self.savers[0], self.fund, "400.00")
                if day == 3:
                    scenes.sell(self.savers[1], self.fund, None)
                scenes.sweep()
                yesterday = f"2013-07-0{day - 1}"
                if yesterday in YIELDS:
                    scenes.publish(self.fund, {yesterday: YIELDS[yesterday]})
                    scenes.pay_income()
                self._pay(day)
                folding.fold()
        with scenes.on("2013-07-04", "12:00"):
            self._reverse_one()
            scenes.sell(self.savers[2], self.fund, "50.00")

    def seal(self) -> None:
        """Seals until everything is: other transactions of the server may hold the horizon back."""

        def sealed() -> bool:
            sealing.seal()
            return sealing.unsealed_since() is None

        wait_until(sealed, what="everything sealed")

    def alarms_after_more(self, number: int) -> list[Finding]:
        """Lets the world go on for a while, and answers what verification then finds: nothing, or it is a false alarm."""
        with scenes.on("2013-07-04", f"13:{number % 60:02d}"):
            self._pay(number)
            factories.a_top_up(self.savers[number % 4], f"{1 + number}.00")
            if number % 3 == 0:
                scenes.buy(self.savers[number % 4], self.fund, "1.00")
            if number % 3 == 1:
                self._reverse_one()
            if number % 4 == 2:
                folding.fold()
            if number % 2:
                sealing.seal()
            ran = (verification_runs.run(extent=extent, freeze=True) for extent in (Extent.INCREMENTAL, Extent.FULL))
            return [finding for verified in ran for finding in verified.findings]

    def _pay(self, number: int) -> None:
        one, other = self.payers[number % 3], self.payers[(number + 1) % 3]
        factories.a_transfer(one, other, f"{1 + number % 7}.25")
        factories.a_transfer(other, one, "0.75")
        if number % 2:
            settlement.settle_everything_due()

    def _reverse_one(self) -> None:
        """Money from the bank that the bank takes back."""
        factories.a_top_up(self.payers[0], "3.00")
        entry_id = TopUp.objects.filter(owner=self.payers[0]).latest("id").entry_id
        assert entry_id is not None
        asked = reversals.request(entry_id=entry_id, reason="The bank took it back.", by=self.operators[0])
        reversals.approve(request_id=asked.pk, by=self.operators[1])
