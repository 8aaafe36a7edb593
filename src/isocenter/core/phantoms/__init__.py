"""Synthetic studies with known shapes, for the demonstration and for tests.

No patient is in them: every value is made up, and says so.
"""

from isocenter.core.phantoms.head import HeadPhantom, Structure, head_phantom

__all__ = ["HeadPhantom", "Structure", "head_phantom"]
