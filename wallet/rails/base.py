"""What a bank connection must do. Everything else (states, postings, exactly-once) is the wallet's business."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the bank is asked to collect. `reference` is ours and unique: the bank takes one instruction per reference."""

    reference: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class RailAnswer:
    """What the bank answers to a status inquiry.

    `status`: confirmed, declined, pending, or unknown (it has never seen the reference). `message_reference` is the
    bank's own reference of this answer, the same each time it is given for the same final state.
    """

    status: str
    message_reference: str = ""
    amount: Decimal = Decimal(0)
    currency: str = ""
    reason: str = ""


class RailRefused(Exception):
    """The bank does not take the instruction and never will. `reason` is its code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Rail(Protocol):
    """A bank connection."""

    def instruct(self, instruction: Instruction) -> None:
        """Hands the instruction over. Repeating it changes nothing. Raises RailRefused; other errors mean: try again."""

    def inquire(self, reference: str) -> RailAnswer:
        """What became of the instruction with our reference."""
