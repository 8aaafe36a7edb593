"""The test stand: studies, servers and tables that the benchmarks share."""
