"""QObjects that run the core in threads and child processes. Imports QtCore only."""
