"""Benchmarks run small: what they print can be read by a machine, and nothing of theirs is left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

CHECKOUT = Path(__file__).resolve().parent.parent.parent
KEYS = {
    "benchmark", "variant", "rows", "seconds", "rate", "limit_rate", "ratio", "ratios", "peak_memory_mb", "hot_share",
    "cores", "machine", "python", "postgresql", "variants",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "variants"),
    [
        ("ledger", ["--rows", "16", "--workers", "2"], ["spread out", "everyone pays one"]),
        ("settlement", ["--rows", "200", "--workers", "1"], ["1 worker"]),
        ("income", ["--rows", "200", "--workers", "2"], ["2 workers"]),
        ("api", ["--rows", "32", "--workers", "1"], ["send, no PIN", "send, PIN", "balance"]),
    ],
)
def test_a_benchmark_prints_its_figures_and_leaves_nothing_behind(
    db: None, name: str, options: list[str], variants: list[str]
) -> None:
    said = subprocess.run(
        [sys.executable, "manage.py", "benchmark", name, *options, "--rounds", "2", "--json"],
        cwd=CHECKOUT,
        env={**os.environ, "CELERY_BROKER_URL": settings.CELERY_BROKER_URL},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert said.returncode == 0, said.stderr
    figures: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    assert figures.keys() >= KEYS
    assert figures["benchmark"] == name
    assert [variant["name"] for variant in figures["variants"]] == variants
    assert all(len(variant["ratios"]) == 2 for variant in figures["variants"])
    assert all(variant["rate"] > 0 and variant["limit_rate"] > 0 for variant in figures["variants"])
    assert 0 < figures["hot_share"] <= 1
    assert figures["peak_memory_mb"] > 10
    assert name in said.stdout.splitlines()[0]
    assert _left_behind() == []


def test_a_size_below_one_is_refused_in_a_sentence() -> None:
    with pytest.raises(CommandError, match="at least 1"):
        call_command("benchmark", "ledger", rounds=0)


def _left_behind() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, 'superapp_benchmark_')")
        databases = [name for (name,) in cursor.fetchall()]
    with current_app.connection_for_write() as broker:
        queues = [key.decode() for key in broker.default_channel.client.keys("*superapp-benchmark*")]
    return databases + queues
