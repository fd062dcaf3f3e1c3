"""An operator reads a case and lifts it, with a reason that stays."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from superapp.models import User
from tests.factories import a_payer, a_person
from wallet import freezes
from wallet.assurance import AccountFreeze
from wallet.freezes import Suspicion
from wallet.models import Account


def _a_case() -> AccountFreeze:
    account = Account.objects.get(owner=a_payer("10.00", pin=None), kind="wallet")
    found = Suspicion(
        row=f"account {account.pk}", fault="its balance is 11", found_by="I3", reason=AccountFreeze.Reason.INVARIANT
    )
    return freezes.freeze([found])[0]


def _page(case: AccountFreeze) -> str:
    return reverse("admin:wallet_accountfreeze_change", args=[case.pk])


def test_a_case_is_lifted_with_a_reason_and_by_whom_stays(office: Client, operator: User) -> None:
    case = _a_case()
    shown = office.get(_page(case)).content.decode()
    assert "its balance is 11" in shown

    assert office.post(_page(case), {"lift_reason": ""}).status_code == 200
    assert Account.objects.get(pk=case.account_id).frozen
    answer = office.post(_page(case), {"lift_reason": "Mended by entry 7."})

    assert answer.status_code == 302
    case.refresh_from_db()
    assert (case.lifted_by, case.lift_reason) == (operator, "Mended by entry 7.")
    assert not Account.objects.get(pk=case.account_id).frozen
    assert "Mended by entry 7." in office.get(_page(case)).content.decode()
    assert office.post(_page(case), {"lift_reason": "Once more."}).status_code == 403


def test_who_comes_second_to_a_case_is_told_so(office: Client, operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    case = _a_case()
    lift = freezes.lift

    def after_another(**asked: Any) -> AccountFreeze:
        lift(case_id=case.pk, by=operator, reason="The other was quicker.")
        return lift(**asked)

    monkeypatch.setattr(freezes, "lift", after_another)

    assert office.post(_page(case), {"lift_reason": "Me too."}).status_code == 403
    assert AccountFreeze.objects.get(pk=case.pk).lift_reason != "Me too."


def test_who_has_no_right_lifts_nothing(world: None, db: None) -> None:
    case = _a_case()
    clerk = a_person("Clerk", email="another-clerk@superapp.test")
    clerk.is_staff = True
    clerk.save()
    browser = Client()
    browser.force_login(clerk)

    assert browser.post(_page(case), {"lift_reason": "Let me."}).status_code == 403
    assert Account.objects.get(pk=case.account_id).frozen
