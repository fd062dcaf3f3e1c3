"""JSON that comes from outside: decoded once and in one way, whatever a stranger makes of it."""

import json


class NotJson(Exception):
    """What was sent cannot be used as JSON. `message` says why, in one sentence, and quotes nothing of it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def decoded(body: bytes) -> object:
    """The value that a body holds.

    Raises NotJson for what is no JSON in UTF-8 (NaN and infinities included), for numbers too long and nesting too deep to
    be read, and for text that no database and no UTF-8 can hold: NUL, and half a surrogate pair.
    """
    try:
        text = body.decode("utf-8")
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotJson("The body is not JSON in UTF-8.") from None
    # Only a backslash-u can smuggle these in.
    if "\\u" in text and not _is_storable(value):
        raise NotJson("Text cannot hold NUL or half a surrogate pair.")
    return value


def _no_constant(_name: str) -> None:
    raise ValueError


def _is_storable(value: object) -> bool:
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            stack.extend(part)
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, str) and any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in part):
            return False
    return True
