"""A site's own rules on top of the profile."""
