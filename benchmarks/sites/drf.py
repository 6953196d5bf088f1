"""A ModelViewSet from the database, nothing cached: what most DRF sites are.

Promises: the middleware of `django-admin startproject`, DRF with its defaults; the table, the database
and its pragmas are Headwater's own.
On failure: as Django does.
"""

from config import settings as site

ALLOWED_HOSTS = site.ALLOWED_HOSTS
DATABASES = site.DATABASES
SECRET_KEY = site.SECRET_KEY
TIME_ZONE = site.TIME_ZONE
LOCATION = site.REDIS.location

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "catalog",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "benchmarks.sites.urls"
