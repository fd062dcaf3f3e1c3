"""`python -m tests.deliberate_bugs`: tries every bug, or those named, and says which test noticed."""

import argparse
import json
import sys
from collections.abc import Sequence

from tests.deliberate_bugs.bugs import BUGS, Bug
from tests.deliberate_bugs.trial import PASSED, Verdict, a_copy, run, try_bug


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every bug was noticed and the untouched copy passes."""
    options = _options(arguments)
    chosen = [bug for bug in BUGS if not options.names or bug.name in options.names]
    unknown = set(options.names) - {bug.name for bug in BUGS}
    if unknown:
        sys.stderr.write(f"There is no bug named {', '.join(sorted(unknown))}: see --list.\n")
        return 2
    if options.list:
        for bug in chosen:
            sys.stdout.write(f"{bug.name:<38} {bug.breaks}\n")
        return 0
    with a_copy() as copy:
        every_test = tuple(dict.fromkeys(test for bug in chosen for test in bug.tests))
        ended, said = run(every_test, copy)
        if ended != PASSED:
            sys.stdout.write(f"The untouched copy does not pass its tests, so nothing can be shown:\n{said[-3000:]}\n")
            return 1
        verdicts = [_tell(bug, try_bug(bug, copy)) for bug in chosen]
    unnoticed = [verdict.bug for verdict in verdicts if verdict.caught_by is None]
    figures = {"bugs": len(verdicts), "caught": len(verdicts) - len(unnoticed), "unnoticed": unnoticed}
    sys.stdout.write(json.dumps(figures) + "\n")
    return 1 if unnoticed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.deliberate_bugs", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--list", action="store_true", help="say which there are, and try nothing")
    return parser.parse_args(arguments)


def _tell(bug: Bug, verdict: Verdict) -> Verdict:
    caught = verdict.caught_by or "NOT NOTICED"
    sys.stdout.write(f"{bug.name:<38} {verdict.seconds:5.1f} s  {caught}\n{verdict.said}")
    sys.stdout.flush()
    return verdict


if __name__ == "__main__":
    sys.exit(main())
