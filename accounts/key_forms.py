"""The form that makes and describes an API key in the admin.

Promises: it offers the plans that there are, and that of the key; a new expiry is in the future. What a user
may only look at has no field in it.
On failure: the form names the bad field.
"""

from typing import Any

from django import forms

from accounts.key_services import checked_expiry
from accounts.plans import default_plan, plans


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key, on one of the plans that there are."""

    plan = forms.ChoiceField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "plan" not in self.fields:
            return
        # One that the settings name no more is shown, and then refused by the model.
        names = dict.fromkeys([*([self.instance.plan] if self.instance.plan else []), *plans()])
        self.fields["plan"] = forms.ChoiceField(
            choices=[
                (name, f"{name} ({plans()[name]})" if name in plans() else name) for name in names
            ],
            initial=default_plan(),
        )

    def clean_expires_at(self) -> Any:
        """A new expiry is in the future; to end a key, revoke it."""
        expires_at = self.cleaned_data["expires_at"]
        return checked_expiry(expires_at) if "expires_at" in self.changed_data else expires_at
