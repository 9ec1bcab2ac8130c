"""How many mutants the tests kill, from a recorded run: `from tests.docs import mutation; cog.outl(mutation.shown())`.

`python -m tests.mutation --write` makes the record.
"""

from __future__ import annotations

import json

from tests.mutation.__main__ import GROUPS, RECORD

WHAT = {
    "kinds": "the rules of the layer kinds",
    "model": "what a network is: windows, traces, aliasing, paths",
    "costs": "counting, memory, receptive fields",
    "lanes": "many networks of a sweep at once",
    "planner": "the planner of TensorFlow Lite Micro",
    "converter": "what TensorFlow Lite's converter does",
}


def shown() -> str:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    rows = ["| code | mutants | tried | killed | |", "|---|---|---|---|---|"]
    for group, row in record["groups"].items():
        files = ", ".join(f"`{each}`" for each in GROUPS[group])
        share = f"{row['share']:.1%}" + (f" ± {row['around']:.1%}" if row["tried"] < row["mutants"] else "")
        rows.append(f"| {WHAT[group]}: {files} | {row['mutants']:,} | {row['tried']:,} | {row['killed']:,} | {share} |")
    about = [
        "Mutants were drawn at random; ± is the 95 % interval. Tests were written for survivors, which were tried",
        f"again, so a new draw may find a little less. Last tried on {record['date']}.",
    ]
    return "\n".join([*rows, "", *about])
