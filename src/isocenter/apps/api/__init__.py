"""The REST API: thin, over the services and queries that the pages and the command line use."""
