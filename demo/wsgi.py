"""The site as `manage.py demo` measures it: the real WSGI application, its processes named.

Promises: the same application as production (`WSGI_APPLICATION` of the settings), plus
`X-Served-By`.
On failure: whatever the site's own WSGI module raises at import.
"""

from django.core.servers.basehttp import get_internal_wsgi_application

from demo.served_by import named

application = named(get_internal_wsgi_application())
