"""The composition root. The Celery app is made here, so that every process that imports a task has it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
