"""STOW-RS (PS3.18 10.5): from the body of a request straight to the spool."""
