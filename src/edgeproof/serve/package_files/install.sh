#!/bin/sh
# Installs edgeproof and the libraries that it needs, in exactly the versions it was packaged with, beside this file.
set -eu
cd "$$(dirname "$$0")"
python3 -m venv venv
venv/bin/pip install --only-binary :all: -r requirements.txt
venv/bin/pip install --no-deps ./$wheel
for bundle in bundles/*.edge; do venv/bin/edgeproof check "$$bundle"; done
