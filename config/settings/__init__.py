"""Settings, put together from one module per concern. Everything that differs between places comes from the environment."""

from config.settings.base import *  # noqa: F403
from config.settings.database import *  # noqa: F403

from config.settings.metrics import *  # noqa: F403  # isort: skip
from config.settings.celery import *  # noqa: F403  # isort: skip
from config.settings.identity import *  # noqa: F403  # isort: skip
from config.settings.operators import *  # noqa: F403  # isort: skip
from config.settings.logs import *  # noqa: F403  # isort: skip
