"""Who may look at the scoreboard: a permission, `console.view_scoreboard`, given in the admin as any other.

Promise: there is no table. On failure: nothing can fail here.
"""

from django.db import models


class Scoreboard(models.Model):
    """What the permission is of."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        verbose_name = verbose_name_plural = "scoreboard"

    def __str__(self) -> str:
        return "scoreboard"
