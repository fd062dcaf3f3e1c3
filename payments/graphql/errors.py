"""The payments' refusals as clients read them."""

import strawberry

from payments import errors
from superapp.graphql.errors import UserError, user_error


@user_error(errors.NoteTooLong)
class NoteTooLong(UserError):
    """The note is longer than allowed, or holds characters that cannot be shown."""

    max_length: int = strawberry.field(description="How many characters a note may have.")
