"""Pages of projects of de-identification; thin."""
