"""The formats of what `check` found: one file per format, each with `render(result) -> str`."""

FORMATS = ("text", "json", "markdown", "github", "gitlab", "junit", "sarif", "html")
