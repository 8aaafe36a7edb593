"""The ASGI application. `boot()` has to run before it is imported."""

from __future__ import annotations

from isocenter.runtime.web.bodies import BoundedHandler

application = BoundedHandler()
