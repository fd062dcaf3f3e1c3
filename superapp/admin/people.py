"""People and their access: found by phone, name, e-mail or handle, with links to what the apps know of them."""

# ruff: noqa: ARG002 - the signatures are Django's

from collections.abc import Callable

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import display

from superapp import people
from superapp.admin.read_only import EMPTY, ReadOnlyInline
from superapp.models import User

PERSON_LINKS: list[Callable[[User], tuple[str, str]]] = []
"""Functions that give (title, address) of a page about a person; shown on the person's page in this order."""

for model in (Group, EmailAddress, EmailConfirmation, Authenticator, UserSession):
    # Seen on the person's page, or in pages of our own: addresses and second factors are changed by their owners.
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Group)
class OperatorGroupAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """What groups of operators may do."""

    actions = None


class EmailAddresses(ReadOnlyInline):
    """E-mail addresses a person signs in by."""

    model = EmailAddress
    verbose_name_plural = "E-mail addresses"
    fields = ["email", "verified", "primary"]
    ordering = ["email"]


@admin.register(User)
class PersonAdmin(ModelAdmin):  # type: ignore[misc]
    """People: found by phone, name, e-mail or handle. They are never deleted; access ends by making them inactive."""

    list_display = ["name", "phone", "email", "handle", "access", "created_at"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email__istartswith", "handle__istartswith", "display_name__icontains", "=id"]
    search_help_text = "The beginning of a phone number, e-mail or handle; part of a name"
    ordering = ["-id"]
    list_per_page = 50
    show_full_result_count = False
    empty_value_display = EMPTY
    inlines = [EmailAddresses]
    filter_horizontal = ["groups"]
    readonly_fields = [
        "id", "pages", "phone", "pending_phone", "email", "handle", "second_factor", "created_at", "last_login",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["pages", "display_name", "phone", "pending_phone", "email", "handle", "id"]}),
        ("Access", {"fields": ["is_active", "second_factor", "last_login", "created_at", "findable_by_phone"]}),
        ("Operator", {"fields": ["is_staff", "is_superuser", "groups"], "classes": ["collapse"]}),
    ]
    OPERATOR_FIELDS = ["is_staff", "is_superuser", "groups"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People sign themselves up; operators are made with `manage.py createsuperuser` and promoted here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Their money's history names them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only a superuser touches an operator, so that nobody gives themselves more than they have."""
        if isinstance(obj, User) and obj.is_staff and not _is_superuser(request):
            return False
        return bool(super().has_change_permission(request, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """The operator's rights are a superuser's to give."""
        fields = list(super().get_readonly_fields(request, obj))
        return fields if _is_superuser(request) else fields + self.OPERATOR_FIELDS

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """By the fields above, and by the beginning of a phone number however it is written."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        beginnings = people.phone_beginnings(search_term)
        if beginnings:
            by_phone = Q()
            for beginning in beginnings:
                by_phone |= Q(phone__startswith=beginning)
            found = found | queryset.filter(by_phone)
        return found, may_repeat

    @display(description="Person", ordering="display_name")
    def name(self, person: User) -> str:
        """What others see, or what we have instead."""
        return str(person)

    @display(description="Access", label={"active": "success", "operator": "info", "inactive": "danger"})
    def access(self, person: User) -> str:
        """Whether the person can sign in, and as what."""
        if not person.is_active:
            return "inactive"
        return "operator" if person.is_staff else "active"

    @display(description="See also")
    def pages(self, person: User) -> str:
        """Where to go on from here: what the apps know of this person."""
        links = [make(person) for make in PERSON_LINKS]
        if not links:
            return EMPTY
        return format_html_join(
            " · ", '<a class="text-primary-600 underline" href="{}">{}</a>', ((url, title) for title, url in links)
        )

    @display(description="Second factor", boolean=True)
    def second_factor(self, person: User) -> bool:
        """Whether a sign-in asks for more than the password."""
        return bool(Authenticator.objects.filter(user=person).exists())


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
