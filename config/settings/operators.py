"""The back office: Django admin under the Unfold theme."""
