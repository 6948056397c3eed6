"""The workspace "Batch": pictures by the folder, what becomes of them, and how far they are."""
