#!/usr/bin/env bash
# on the machine where you submit: scheduler, workers as jobs, then the command
set -euo pipefail
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

dask scheduler --port 8786 --no-dashboard 2> scheduler.log &
trap 'kill $(jobs -p)' EXIT
condor_submit scheduler="tcp://$(hostname -f):8786" condor.sub
until grep -q "Register worker" scheduler.log 2>/dev/null || [ "$SECONDS" -gt 600 ]; do sleep 5; done

nuhf limit coherent-csi-2021 -p qnu_mumu --method feldman-cousins --toys 20000 \
    --scheduler tcp://127.0.0.1:8786 --checkpoint qnu_mumu.toys
