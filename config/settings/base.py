"""Django itself: apps, middleware, templates, time, static files, transport security."""

from config.settings.environment import BASE_DIR, MODE, PROCESS, SANDBOX, env, secret

SUPERAPP_MODE = MODE
SUPERAPP_SANDBOX = SANDBOX
SUPERAPP_PROCESS = PROCESS

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = secret("SECRET_KEY")
PAYMENT_PIN_KEY = secret("PAYMENT_PIN_KEY")
"""Server-side HMAC key of the payment PINs; kept outside the database."""

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if SANDBOX else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.headless",
    "djmoney",
    "superapp",
    "wallet",
    "payments",
    "funds",
    "config",
]

MIDDLEWARE = [
    "superapp.request_log.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "superapp.well_formed.WellFormedMiddleware",
    "superapp.by_token.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "superapp.by_token.AuthenticationMiddleware",
    "superapp.by_token.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "superapp.code_tries.CodeTriesMiddleware",
    "superapp.outages.UnavailableMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "superapp" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "superapp.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "Asia/Shanghai"
"""Business time: cut-offs, days and calendars are read in this zone unless a fund names its own."""
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
STATIC_ROOT = None if SANDBOX else BASE_DIR / "static-collected"
"""Production serves what `collectstatic` gathered; a sandbox serves from the apps, so that nothing need be gathered."""
WHITENOISE_USE_FINDERS = SANDBOX

DEFAULT_CURRENCY = "CNY"
TOP_UP_RAIL = env.str("TOP_UP_RAIL", default="sandbox" if SANDBOX else "")
"""The bank connection that new top-ups take, by the name it was registered under (`wallet.rails`)."""
CURRENCIES = ("CNY", "USD", "EUR", "HKD", "JPY", "SGD", "KWD")

DATA_UPLOAD_MAX_MEMORY_SIZE = 65_536

SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if not SANDBOX:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|metrics)$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
