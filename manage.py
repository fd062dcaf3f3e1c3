#!/usr/bin/env python
"""Django's command line for the super-app."""

import os
import sys


def main() -> None:
    """Runs one command. An engine or a database that cannot be had is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from config.refusals import refusals

    with refusals():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
