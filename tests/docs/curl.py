"""curl, as far as the pages use it, for a machine that has none: the commands of the documentation are tried there too.

Whatever it does not know it refuses, so that a page cannot come to depend on what was not tried.
"""

import argparse
import sys
from http.cookiejar import LoadError, MozillaCookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, Request, build_opener


def main(words: list[str]) -> None:
    """One request, its answer to where the options say."""
    given = _options(words)
    jar = MozillaCookieJar()
    if given.cookie and Path(given.cookie).exists():
        jar.load(given.cookie, ignore_discard=True)
    request = Request(given.url, data=given.data.encode() if given.data is not None else None, method=given.request)
    for header in given.header:
        name, _, value = header.partition(":")
        request.add_header(name, value.strip())
    try:
        with build_opener(HTTPCookieProcessor(jar)).open(request, timeout=120) as answer:
            status, body = answer.status, answer.read()
    except HTTPError as refusal:
        with refusal:
            status, body = refusal.code, refusal.read()
    if given.output:
        Path(given.output).write_bytes(body)
    else:
        sys.stdout.buffer.write(body)
    if given.cookie_jar:
        jar.save(given.cookie_jar, ignore_discard=True)
    if given.write_out:
        sys.stdout.write(given.write_out.replace("%{http_code}", str(status)).replace("\\n", "\n"))


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("-s", "--silent", action="store_true", required=True)
    parser.add_argument("-o", "--output")
    parser.add_argument("-w", "--write-out")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data")
    parser.add_argument("-b", "--cookie")
    parser.add_argument("-c", "--cookie-jar")
    return parser.parse_args(words)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LoadError as fault:
        sys.exit(f"curl: {fault}")
