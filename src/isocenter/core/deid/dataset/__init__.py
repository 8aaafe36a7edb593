"""The walk over the bytes of a data set, and what becomes of each element."""
