"""The limit of `benchmark api`: a bare Strawberry view of two fields, for benchmarks only and never part of the site.

What it shares with the site: the server and its processes, the connection handling, the settings of the database's sessions,
the function that says whose request it is, and the answers' shape. What it lacks is everything else: no middleware, no
bounds, no masking, no rule but the balance; sending is one call of one SQL function, a balance one SELECT. Documents are
parsed and validated once, by Strawberry's own caches.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from strawberry.django.views import GraphQLView
from strawberry.extensions import ParserCache, ValidationCache

from superapp import sessions
from superapp.models import User
from superapp.prepared import run

SEND_SQL = "SELECT benchmark_send(%s::uuid, %s::uuid, %s::numeric, %s::text, %s::text, %s::text, %s::text)"
BALANCE_SQL = """
    SELECT a.balance, a.held FROM wallet_account a JOIN wallet_asset s ON s.id = a.asset_id
    WHERE a.owner_id = %s::uuid AND a.kind = 'wallet' AND s.code = 'CNY' AND a.scope = '' AND a.slot = 0
"""
MEMORY = 100


@strawberry.type
class Money:
    amount: str
    currency: str


@strawberry.type
class Transfer:
    id: strawberry.ID
    amount: Money


@strawberry.type
class SendMoneySuccess:
    transfer: Transfer
    fee: Money


@strawberry.type
class Wallet:
    balance: Money
    available: Money


@strawberry.type
class Viewer:
    person: strawberry.Private[User]

    @strawberry.field
    def wallets(self) -> list[Wallet]:
        """Balances of one currency."""
        return [
            Wallet(balance=Money(amount=f"{balance:.2f}", currency="CNY"),
                   available=Money(amount=f"{balance - held:.2f}", currency="CNY"))
            for balance, held in run(BALANCE_SQL, (self.person.pk,))
        ]  # fmt: skip


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self, info: strawberry.Info[Any, None]) -> Viewer:
        """Who asks."""
        return Viewer(person=info.context)


@strawberry.input
class PayeeInput:
    id: strawberry.ID


@strawberry.input
class MoneyInput:
    amount: str
    currency: str


@strawberry.input
class SendMoneyInput:
    to: PayeeInput
    amount: MoneyInput
    idempotency_key: str
    note: str = ""
    pin: str | None = None


@strawberry.type
class Mutation:
    @strawberry.mutation
    def send_money(self, info: strawberry.Info[Any, None], input: SendMoneyInput) -> SendMoneySuccess:
        """Sends, by the one SQL function."""
        payee = UUID(str(input.to.id))
        amount = Decimal(input.amount.amount)
        said = (info.context.pk, payee, amount, input.amount.currency, input.note, input.idempotency_key, "INSTANT")
        ((transfer,),) = run(SEND_SQL, said)
        return SendMoneySuccess(
            transfer=Transfer(
                id=strawberry.ID(str(transfer)), amount=Money(amount=str(amount), currency=input.amount.currency)
            ),
            fee=Money(amount="0.00", currency=input.amount.currency),
        )


class View(GraphQLView[Any, None]):
    """Strawberry's own view; the context is the person who asks."""

    def get_context(self, request: HttpRequest, response: HttpResponse) -> Any:
        """Whose request it is, as the site finds out."""
        del response
        person = sessions.person_of(request)
        if person is None:
            raise sessions.Unauthenticated
        return person


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    extensions=[lambda: ParserCache(maxsize=MEMORY), lambda: ValidationCache(maxsize=MEMORY)],
)
urlpatterns = [path("graphql/", csrf_exempt(View.as_view(schema=schema)))]
