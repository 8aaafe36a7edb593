"""Signing in, signing out, registering."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from isocenter.apps.accounts import registering, services
from isocenter.apps.accounts.access import principal_of, public
from isocenter.apps.accounts.forms import RegisterForm, SignInForm
from isocenter.apps.accounts.services import SignInRefused, WeakPassword
from isocenter.core.errors import IsocenterError


@public
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Name and password; then to where one wanted to go."""
    if principal_of(request).is_known:
        return redirect(wanted(request))
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            services.sign_in(request, given["username"], given["password"])
        except SignInRefused as error:
            form.add_error(None, sentence(error))
            status = 429 if error.until else 200  # a form that is wrong is a page
        else:
            return redirect(wanted(request))
    context = {
        "form": form,
        "next": wanted(request, or_else=""),
        "may_register": registering.is_open(),
    }
    return render(request, "accounts/sign_in.html", context, status=status)


@public
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    services.sign_out(request)
    return redirect("sign-in")


@public
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """An account that waits for approval, where the setting allows it."""
    if not registering.is_open():
        return render(request, "accounts/no_registration.html", status=404)
    form = RegisterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            services.register(
                given["username"],
                password=given["new"],
                full_name=given["full_name"],
                email=given["email"],
                address=services.address_of(request),
            )
        except WeakPassword as error:
            form.add_error("new", error.problems)
        except IsocenterError as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request, "Registered. You can sign in as soon as an administrator has approved it."
            )
            return redirect("sign-in")
    return render(request, "accounts/register.html", {"form": form})


def wanted(request: HttpRequest, or_else: str = "/") -> str:
    """Where ``next`` points to, if that is here; never to another host."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    is_here = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    # Without a slash it could be the name of a view, which Django would look for.
    return target if is_here and target.startswith("/") else or_else


def sentence(error: SignInRefused) -> str:
    """What is wrong, and when it is worth another try."""
    if error.until is None:
        return str(error)
    minutes = max(1, round((error.until - timezone.now()).total_seconds() / 60))
    return f"{error} Try again in {minutes} min, or ask an administrator."
