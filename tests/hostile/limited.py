"""Runs the whole corpus in this process with 75 MB of address space: `python -m tests.hostile.limited`.

Prints how many texts were refused with located errors; anything else, MemoryError included, is a traceback.
"""

import resource

from cnnprof.analysis.costs import count
from cnnprof.errors import SpecError
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from tests.hostile.corpus import FILES, GENERATED, NETWORKS, TEXTS

ADDRESS_SPACE = 75 * 10**6


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    refused = 0
    for text in [*(path.read_bytes() for path in FILES), *GENERATED.values()]:
        try:
            count(unfold(read(parse(text, "net.yaml", TEXTS)), limits=NETWORKS))
        except SpecError as error:
            refused += bool(str(error))
    print(f"{refused} refused")


if __name__ == "__main__":
    main()
