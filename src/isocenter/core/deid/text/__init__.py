"""Names, dates and doubtful words in free text."""
