"""Metrics: where processes keep their counters, and who may read them.

METRICS_DIR is a folder of this machine (or container) that all its processes share; a sandbox has one in `.local/`.
METRICS_TOKEN is what a scraper shows as `Authorization: Bearer ...`. Without a token a sandbox answers its own machine, and
production nobody.
"""

import os
from pathlib import Path

from config.settings.environment import LOCAL_DIR, PROCESS, SANDBOX, env

METRICS_TOKEN: str = env.str("METRICS_TOKEN", default="")

METRICS_DIR: str = env.str("METRICS_DIR", default="")
if not METRICS_DIR and SANDBOX and PROCESS != "command":
    METRICS_DIR = str(LOCAL_DIR / "metrics")

# Prometheus' client looks for the folder once, when it is imported, which is after this.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
if METRICS_DIR and PROCESS != "command":
    Path(METRICS_DIR).mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = METRICS_DIR
