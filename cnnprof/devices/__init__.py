"""What a network runs on: capacities with their sources, what fits, and bounds of the time it takes."""
