"""Every address the site answers."""

from allauth.account.decorators import secure_admin_login
from allauth.headless.constants import Client
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from superapp.sign_in import SignInView

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/admin/"), name="home"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    # Ours before allauth's: these take a phone number in any way of writing it.
    path("_allauth/app/v1/auth/login", SignInView.as_api_view(client=Client.APP)),
    path("_allauth/browser/v1/auth/login", SignInView.as_api_view(client=Client.BROWSER)),
    path("_allauth/", include("allauth.headless.urls")),
]
