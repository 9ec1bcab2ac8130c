"""`cnnprof schema`."""

import json

from cnnprof.cli.options import Output
from cnnprof.cli.output import deliver
from cnnprof.language import schema

EXAMPLES = ("cnnprof schema",)


def command(output: Output = None) -> None:
    """Print the JSON Schema of specs, with which editors complete and check them."""
    deliver(json.dumps(schema.schema(), indent=2, ensure_ascii=False) + "\n", output, "json")
