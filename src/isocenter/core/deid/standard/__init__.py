"""What the standard says: Annex E, IODs, the keep list, the dictionary of UIDs."""
