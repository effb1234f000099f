"""Texts, places in them, and what can be said about them. Depends on nothing else."""
