"""Structured logs with request ids, without secrets."""
