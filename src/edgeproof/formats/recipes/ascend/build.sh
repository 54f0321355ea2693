#!/bin/sh
# Builds model.om with the ATC of Huawei's CANN toolkit (source its set_env.sh first).
#
#   sh build.sh SOC [OPTIONS OF ATC]         like: sh build.sh Ascend310B4
#   MODEL=quantised/model_deploy_model.onnx sh build.sh Ascend310B4
set -eu
cd "$(dirname "$0")"
if [ $# -eq 0 ]; then
    echo "build.sh: which processor? 'npu-smi info' shows its name, and SOC is Ascend in front of that:" >&2
    command -v npu-smi >&2 && npu-smi info >&2
    echo "sh build.sh Ascend310B4" >&2
    exit 2
fi
soc=$1
shift
if ! command -v atc > /dev/null; then
    echo "build.sh: there is no atc: install the CANN toolkit, and source its set_env.sh" >&2
    exit 1
fi
atc --model="${MODEL:-model.onnx}" --framework=5 --output=model --soc_version="$soc" \
    --input_shape=@SHAPES@ "$@"
