"""Steps of pipelines: one class in one file, registered by the entry point ``isocenter.steps``.

Another package adds a step by the same entry point; nothing here needs to know it.
"""

from __future__ import annotations
