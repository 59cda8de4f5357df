#!/bin/sh
# The C tests and examples; `tests/c/run.sh --help` lists the modes.
exec "${PYTHON:-python3}" "$(dirname "$0")/run.py" "$@"
