"""What only a GPU can show, in one run of a few minutes and one JSON: `python -m tests.device`."""

from pathlib import Path

RECORD = Path(__file__).resolve().with_name("record.json")
"""Of the last run on a CUDA device; tests/docs/device.py shows it."""
