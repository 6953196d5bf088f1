"""The WSGI application of whichever settings DJANGO_SETTINGS_MODULE names.

Promises: nothing is put around Django's own.
On failure: ImproperlyConfigured when the variable is unset.
"""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
