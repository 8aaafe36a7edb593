"""Pages of people; thin."""
