"""What a table of report.py looks like: one file per output format, each with one function `render`."""
