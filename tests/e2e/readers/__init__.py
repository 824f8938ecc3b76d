"""What readers.py is made of: the readers, the events they read, and what their figures are held against."""
