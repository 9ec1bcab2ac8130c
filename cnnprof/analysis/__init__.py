"""Graph to figures."""
