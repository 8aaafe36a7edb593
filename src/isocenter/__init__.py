"""Isocenter: a self-hosted imaging gateway and workbench."""

__version__ = "0.1.0"
