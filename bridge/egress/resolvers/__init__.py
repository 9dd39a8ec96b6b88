"""The look-ups of writes in doubt, a module for each family of verbs; ``egress/resolve.py`` gathers them by name."""
