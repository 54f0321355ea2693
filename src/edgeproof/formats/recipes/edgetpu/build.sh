#!/bin/sh
# Builds model_full_integer_quant_edgetpu.tflite. Google's compiler runs on x86-64 Debian and Ubuntu, not on the device.
#
#   sh build.sh [OPTIONS OF EDGETPU_COMPILER]
set -eu
cd "$(dirname "$0")"
if ! command -v edgetpu_compiler > /dev/null; then
    echo "build.sh: there is no edgetpu_compiler: https://coral.ai/docs/edgetpu/compiler" >&2
    exit 1
fi
if [ ! -f model_full_integer_quant.tflite ]; then
    if [ ! -f model.tflite ]; then
        echo "build.sh: there is no model.tflite: see README.md, Without a TFLite file" >&2
        exit 1
    fi
    python3 quantise.py
fi
edgetpu_compiler -s -o . "$@" model_full_integer_quant.tflite
