"""The service in one process and in virtual time, broken in every way a seed can think of."""
