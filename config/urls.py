"""Every address the site answers."""

from allauth.account.decorators import secure_admin_login
from allauth.headless.constants import Client
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config import health, metrics
from config.schema import schema
from superapp.graphql.graphiql import take_place
from superapp.graphql.view import endpoint
from superapp.sign_in import SignInView

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/admin/"), name="home"),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}superapp/favicon.svg")),
    path("graphql/", endpoint(schema), name="graphql"),
    path("graphql/sandbox-sign-in/", take_place, name="sandbox-sign-in"),
    path("admin/", admin.site.urls),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", metrics.page),
    path("accounts/", include("allauth.urls")),
    # Ours before allauth's: these take a phone number in any way of writing it.
    path("_allauth/app/v1/auth/login", SignInView.as_api_view(client=Client.APP)),
    path("_allauth/browser/v1/auth/login", SignInView.as_api_view(client=Client.BROWSER)),
    path("_allauth/", include("allauth.headless.urls")),
]
