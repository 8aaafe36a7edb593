"""Django's PostgreSQL backend, with connections of a pool that are looked at without asking."""
