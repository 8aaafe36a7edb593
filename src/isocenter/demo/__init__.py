"""The story that ``make demo`` tells: a study in, overlays out to a node and a folder."""
