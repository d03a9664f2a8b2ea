"""How fast SmartRecover is, and why: run `python -m benchmarks`."""
