"""The questions need a document database: without DOCUMENT_DATABASE_URL none is collected.

Promise: .ci/on-mongodb always sets it.
On failure: nothing can fail here.
"""

from django.conf import settings

collect_ignore_glob = [] if "documents" in settings.DATABASES else ["test_*.py"]
