"""Django settings of the site; docs/settings.md lists the variables behind them.

Promises: the environment is read once, here, through `config.environment`; with nothing set the
site runs from one folder, on loopback; with a public host in ALLOWED_HOSTS and DEBUG off it runs
behind TLS and says nothing over plain HTTP.
On failure: a bad variable is one line on stderr and exit 2.
"""

import sys
from pathlib import Path
from typing import Any

from config import documents, redis_url, secret
from config.environment import Invalid, read

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    ENVIRONMENT = read(BASE_DIR)
    # None, unless catalog and analytics are to live in MongoDB.
    DOCUMENTS = documents.database(ENVIRONMENT.document_database_url, ENVIRONMENT.document_engine)
    HEADWATER_HOME = ENVIRONMENT.home
    SECRET_KEY = ENVIRONMENT.secret_key or secret.secret_key(HEADWATER_HOME)
    if ENVIRONMENT.database is None or ENVIRONMENT.redis_url is None:
        secret.make_home(HEADWATER_HOME)
    if ENVIRONMENT.redis_url is None:
        REDIS = redis_url.embedded(HEADWATER_HOME)
    else:
        REDIS = redis_url.parse(ENVIRONMENT.redis_url)
    if ENVIRONMENT.broker_url is not None:
        CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = redis_url.broker(
            ENVIRONMENT.broker_url
        )
    elif REDIS.broker_url is not None:
        CELERY_BROKER_URL = REDIS.broker_url
        CELERY_BROKER_TRANSPORT_OPTIONS = REDIS.broker_options
    else:
        raise Invalid("CELERY_BROKER_URL", "must be set where REDIS_URL names a cluster")
except Invalid as invalid:
    sys.stderr.write(f"{invalid}\n")
    raise SystemExit(2) from None

DEBUG = ENVIRONMENT.debug
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
PORT = ENVIRONMENT.port

INSTALLED_APPS = [
    "console",
    # Django's admin, with another home.
    "console.admin_config.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "django_ratelimit",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "caching",
    "accounts",
    "catalog",
    "feeds",
    "places",
    "analytics",
    "demo",
    "doctor",
]
MIDDLEWARE = [
    "rest.request_id.RequestIds",
    # Early: what comes behind may answer with the address.
    "accounts.key_middleware.NoKeysInAddresses",
    "accounts.limit_middleware.RateLimitHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "console.policy.content_security_policy",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 20,
    # A transaction that reads and then writes must not fail halfway because another wrote between.
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;"
        "PRAGMA temp_store=MEMORY;PRAGMA mmap_size=268435456;PRAGMA cache_size=-65536;"
        "PRAGMA journal_size_limit=67108864"
    ),
}
DATABASE: dict[str, Any] = ENVIRONMENT.database or {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": HEADWATER_HOME / "headwater.sqlite3",
    # A file, so that the threads and processes of a test share it as they would in production.
    "TEST": {"NAME": HEADWATER_HOME / "test.sqlite3"},
}
if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    DATABASE["OPTIONS"] = {**SQLITE_OPTIONS, **DATABASE.get("OPTIONS", {})}
else:
    DATABASE["OPTIONS"] = {"connect_timeout": 3, **DATABASE.get("OPTIONS", {})}
    DATABASE.setdefault("CONN_HEALTH_CHECKS", True)
DATABASE.setdefault("CONN_MAX_AGE", None)
DATABASES = {"default": DATABASE}
if DOCUMENTS is not None:
    DATABASES["documents"] = DOCUMENTS
    DATABASE_ROUTERS = ["config.routers.DocumentRouter"]
    # For its `migrate`, which knows of both databases.
    INSTALLED_APPS.insert(0, "config")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS.location,
        "KEY_PREFIX": "hw:django",
        "OPTIONS": REDIS.options,
    },
}
CACHING = {"ALIAS": "default", "PREFIX": "hw"}

CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
# A task whose worker died is delivered again; every task here may run twice.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    # Seconds; one that comes late is of no use any more.
    "caching.relay": {
        "task": "caching.relay_invalidations",
        "schedule": 2.0,
        "options": {"expires": 2.0},
    },
    "feeds.sweep": {"task": "feeds.sweep", "schedule": 5.0, "options": {"expires": 5.0}},
    "feeds.forget_keys": {"task": "feeds.forget_keys", "schedule": 3600.0},
    "analytics.refresh": {
        "task": "analytics.refresh",
        "schedule": 900.0,
        "options": {"expires": 900.0},
    },
    "analytics.retry": {"task": "analytics.retry", "schedule": 15.0, "options": {"expires": 15.0}},
    "places.rebuild": {"task": "places.rebuild", "schedule": 15.0, "options": {"expires": 15.0}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(HEADWATER_HOME / "celerybeat-schedule")

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_ENGINE = "accounts.sessions"
SESSION_IDLE_AGE = 15 * 60  # seconds without a request
SESSION_COOKIE_AGE = 8 * 3600  # seconds after the login, active or not
SESSION_CAP = 20  # a user
# What a key may do in which time, by the plan it is on.
API_PLANS = {
    "trial": "100/h",
    "default": "1000/h",
    "pro": "20/s, 10000/h",
    "demo": "1000000/h",
}
API_DEFAULT_PLAN = "default"
# What views of the API allow an address without key and session, such as
# {"catalog.views.ProductViewSet": "60/m"}; the others turn it away.
ANONYMOUS_LIMITS: dict[str, str] = {}
# What becomes of limits without Redis, and over how many processes each is shared out then.
RATELIMIT_ON_FAILURE = ENVIRONMENT.ratelimit_on_failure
RATELIMIT_WORKERS = ENVIRONMENT.ratelimit_workers
API_KEYS_PER_USER = 50  # that are neither revoked nor expired
# Followers; the posts of authors with more are merged into feeds as these are read.
FEEDS_FANOUT_LIMIT = 10_000
# Whose X-Forwarded-For is believed: addresses and networks.
TRUSTED_PROXIES = list(ENVIRONMENT.trusted_proxies)
LOGINS_BY_IP = "20/m"
FAILED_LOGINS_BY_USERNAME = "10/m"
REGISTRATIONS_BY_IP = "10/m"
RATELIMIT_IP_META_KEY = "accounts.visitors.address_of"
RATELIMIT_IPV6_MASK = 64
# Who cannot count lets everybody in.
RATELIMIT_FAIL_OPEN = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
LOGIN_URL = "admin:login"

SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# What a scraper from another machine sends to read /metrics; without it none may.
METRICS_TOKEN = ENVIRONMENT.metrics_token
if ENVIRONMENT.public:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # Probes and scrapers reach a process directly, behind the proxy that ends TLS.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-csrftoken"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest.parsers.JSONParser"],
    # The first that finds its credentials decides, and the first of all gives the challenge of a 401.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.CookieAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttling.ApiGate"],
    "DEFAULT_PERMISSION_CLASSES": ["rest.permissions.StaffWrites"],
    "DEFAULT_SCHEMA_CLASS": "rest.schema.AutoSchema",
    "EXCEPTION_HANDLER": "rest.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Headwater",
    "DESCRIPTION": "A read-heavy site on one coherent cache.",
    "VERSION": "1.0.0",
    "SCHEMA_PATH_PREFIX": r"/api/v[0-9]+",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Else it asks a server of the world what it thinks of the document.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.api_examples.illustrate",
    ],
}

STATIC_URL = "static/"
# Served from the packages themselves: nothing to collect, whatever DEBUG is.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"text": {"()": "config.logs.Text"}, "json": {"()": "config.logs.Json"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": ENVIRONMENT.log_format}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # Django's own handlers would write every line twice.
        "django": {"handlers": [], "level": "WARNING"},
        # A refused request is its sender's affair, and is answered as such.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "caching": {"level": "INFO"},
        "rest.access": {"level": "INFO" if ENVIRONMENT.access_log else "WARNING"},
    },
}
