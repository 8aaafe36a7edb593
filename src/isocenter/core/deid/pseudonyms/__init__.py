"""Keyed UIDs, pseudonyms and date shifts of a project."""
