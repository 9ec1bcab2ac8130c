"""What the tool costs. `python -m tests.benchmarks` prints it; nothing here is a test, since times are not."""
