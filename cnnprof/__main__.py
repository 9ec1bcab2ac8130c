"""`python -m cnnprof`."""

from cnnprof.cli import main

raise SystemExit(main())
