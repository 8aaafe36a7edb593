"""The ASGI application. `boot()` has to run before it is imported."""

from __future__ import annotations

from django.core.asgi import get_asgi_application

application = get_asgi_application()
