"""People: sign-up, sign-in, sessions, second factor (django-allauth, headless).

Browsers use the `browser` client (cookies), apps the `app` client (X-Session-Token); docs/sign-in.md shows both. The
rules are in `superapp.sign_in` (what allauth asks us), `superapp.sessions` (whose request is this) and
`superapp.people`.
"""

from typing import Any

from config.settings.environment import SANDBOX, env

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("phone", "email", "display_name", "handle")},
    },
]

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 14 * 24 * 3600
"""Seconds a sign-in lasts; nothing is written while it is used, so it is not prolonged by use."""
SESSION_COOKIE_SAMESITE = "Lax"

# --- what allauth may do -------------------------------------------------------------------------------------------

ACCOUNT_ADAPTER = "superapp.sign_in.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_MODEL_EMAIL_FIELD = "email"
ACCOUNT_LOGIN_METHODS = {"phone", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "phone", "password1*"]
"""allauth asks for a required e-mail address wherever addresses are confirmed by code; `SignUpForm` turns the two into
exactly one of phone and e-mail."""
ACCOUNT_SIGNUP_FORM_CLASS = "superapp.sign_up.SignUpForm"
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PHONE_VERIFICATION_ENABLED = True
ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if SANDBOX else "https"
ALLAUTH_USER_CODE_FORMAT = {"numeric": True, "length": 6, "dashed": False}
"""Six digits, three tries, fifteen minutes."""
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
"""Proxies of ours between the client and the site; the address that limits count by is read behind them."""

HEADLESS_ADAPTER = "superapp.sign_in.HeadlessAdapter"
HEADLESS_CLIENTS = ("browser", "app")
HEADLESS_TOKEN_STRATEGY = "superapp.sessions.SignedTokens"  # noqa: S105 - a dotted path
HEADLESS_ONLY = False
"""Operators sign in on allauth's own pages, see config.settings.operators."""

MFA_ADAPTER = "superapp.sign_in.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Superapp"

# --- what leaves the house for a person ----------------------------------------------------------------------------

SMS_GATEWAY = env.str("SMS_GATEWAY", default="superapp.deliveries.SandboxTextMessages" if SANDBOX else "")
"""Dotted path of a `superapp.deliveries.TextMessages` class; production has no default and refuses the sandbox's."""
PHONE_DEFAULT_REGION = "CN"
"""Where a number without a country code is taken to be from."""

DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Superapp <no-reply@superapp.example>")
if SANDBOX:
    EMAIL_BACKEND = "superapp.deliveries.SandboxMail"
else:
    EMAIL_CONFIG = env.email_url("EMAIL_URL", default="smtp://localhost:25")
    vars().update(EMAIL_CONFIG)
