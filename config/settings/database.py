"""Where the data is: the embedded PostgreSQL 18 of `.local/`, or the server that DATABASE_URL names."""

from config.settings.environment import env

DATABASES = {"default": {**env.db_url("DATABASE_URL", default="postgres://postgres@/superapp")}}
