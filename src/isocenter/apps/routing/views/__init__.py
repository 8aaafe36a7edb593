"""Pages of routing, one file per kind of thing; thin."""
