"""Users in the Django admin.

Promises: Django's own user pages, on the site's own model.
On failure: the form names the bad field.
"""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from accounts.models import User

admin.site.register(User, UserAdmin)
