"""A text-message gateway for sites of tests that run as in production: it sends nothing and tells nobody."""


class Silent:
    """Takes every message."""

    def send(self, *, phone: str, text: str) -> None:
        """Nothing."""
