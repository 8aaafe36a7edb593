"""The story that ``make demo`` tells: a study in by C-STORE, overlays out to a node and a folder."""
