"""The clients that `postgres.py` runs, and the events that they find."""
