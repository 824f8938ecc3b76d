"""The page of the console in a real browser: what `console.py` runs."""
