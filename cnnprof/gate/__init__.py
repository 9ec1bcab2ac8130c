"""Budgets and what they are compared with."""
