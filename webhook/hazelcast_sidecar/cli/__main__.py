"""`python -m hazelcast_sidecar.cli`."""

import sys

from hazelcast_sidecar.cli import main

sys.exit(main())
