#!/bin/sh
# Installs edgeproof and the libraries that it needs beside this file, in exactly the versions and files that it was
# packaged for, and checks the bundles. PYTHON=python3.12 chooses the Python.
set -eu
cd "$$(dirname "$$0")"
"$${PYTHON:-python3}" -m venv venv
venv/bin/pip install --no-compile --require-hashes --only-binary :all: -r requirements.txt
venv/bin/pip install --no-compile --no-deps --only-binary :all: -r requirements-engines.txt ./$wheel
# A tenth of it all are NumPy's own tests; and what the service imports is compiled now, for it may not write there.
find venv -path '*/numpy/*' -type d -name tests -prune -exec rm -r {} +
venv/bin/python -c "$imports"
for bundle in bundles/*.edge; do
  [ ! -e "$$bundle" ] || venv/bin/edgeproof check "$$bundle"
done
