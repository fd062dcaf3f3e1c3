"""GraphiQL: a page for trying the API, in a sandbox only.

Examples are the files of `examples/`: a `.graphql` document whose first comment lines are title and description, and
beside it, where it takes variables, a `.json` of the same name. `{{uuid}}` in variables becomes a fresh key at each use.
Each works as it stands against a freshly seeded sandbox.

The buttons above the page take the place of a seeded person without a password. They exist in a sandbox alone: in
production their address is not there.
"""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from superapp.models import User

EXAMPLES = Path(__file__).parent / "examples"
OFFERED_PEOPLE = 8

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Example:
    """An operation to try."""

    name: str
    title: str
    description: str
    query: str
    variables: str
    """JSON; empty for none."""


@cache
def examples() -> tuple[Example, ...]:
    """All examples, in the order of their file names."""
    return tuple(_example(path) for path in sorted(EXAMPLES.glob("*.graphql")))


def _example(path: Path) -> Example:
    query = path.read_text()
    comments = []
    for line in query.splitlines():
        if not line.startswith("#"):
            break
        comments.append(line.lstrip("# ").rstrip())
    variables = path.with_suffix(".json")
    return Example(
        name=path.stem,
        title=comments[0] if comments else path.stem,
        description=" ".join(comments[1:]),
        query=query,
        variables=variables.read_text() if variables.exists() else "",
    )


def is_wanted(request: HttpRequest) -> bool:
    """Whether a browser asks for the page, and this is a sandbox."""
    return bool(
        settings.SUPERAPP_SANDBOX and request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    )


def page(request: HttpRequest) -> HttpResponse:
    """The page."""
    response = render(
        request,
        "superapp/graphiql.html",
        {
            "people": _people(),
            "signed_in": request.user if request.user.is_authenticated else None,
            "examples": [asdict(example) for example in examples()],
        },
    )
    response["Content-Security-Policy"] = _POLICY
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def take_place(request: HttpRequest) -> HttpResponse:
    """Signs the browser in as a person of the sandbox, or out when no person is named. Absent in production."""
    if not settings.SUPERAPP_SANDBOX:
        raise Http404
    chosen = request.POST.get("person", "")
    logout(request)
    if chosen:
        person = next((person for person in _people() if str(person.pk) == chosen), None)
        if person is None:
            raise Http404
        login(request, person, backend=settings.AUTHENTICATION_BACKENDS[0])
    return HttpResponseRedirect(reverse("graphql"))


def _people() -> list[User]:
    """The first people of the sandbox, operators left out."""
    return list(User.objects.filter(is_active=True, is_staff=False).order_by("id")[:OFFERED_PEOPLE])
