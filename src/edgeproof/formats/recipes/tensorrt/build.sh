#!/bin/sh
# Builds model.plan with the TensorRT of this device. A plan runs only on the kind of GPU, and with the version of
# TensorRT, that it was built with: run this on the device itself.
#
#   sh build.sh [MODEL.onnx]                          a file of this folder; default: model.onnx
#   PRECISION="--fp16 --int8" sh build.sh model_int8.onnx
#   PRECISION=" " sh build.sh                         float32
set -eu
cd "$(dirname "$0")"
model=${1:-model.onnx}
# JetPack and NVIDIA's Debian packages install it outside PATH.
trtexec=${TRTEXEC:-$(command -v trtexec || echo /usr/src/tensorrt/bin/trtexec)}
if [ ! -x "$trtexec" ]; then
    echo "build.sh: there is no $trtexec: install TensorRT, or set TRTEXEC=/path/to/trtexec" >&2
    exit 1
fi
# From TensorRT 11 on these options are gone: it computes in the precision that the ONNX file is written in.
help=$("$trtexec" --help 2>&1 || true)
set --
for option in ${PRECISION:---fp16}; do
    case $help in
        *"$option"*) set -- "$@" "$option" ;;
        *) echo "build.sh: this trtexec has no $option: see README.md, TensorRT 11" >&2 ;;
    esac
done
"$trtexec" --onnx="$model" --saveEngine=model.plan --timingCacheFile=timing.cache "$@"
