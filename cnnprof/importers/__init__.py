"""Other formats → graph, one file per format."""
