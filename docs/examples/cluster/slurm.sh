#!/usr/bin/env bash
#SBATCH --job-name=nuhf
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
# one thread for each worker: more make small models slower
set -euo pipefail
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
. "$HOME/nuhf/.venv/bin/activate"

address="tcp://$(hostname -f):8786"
dask scheduler --port 8786 --no-dashboard &
srun dask worker "$address" --nworkers 1 --nthreads 1 --no-dashboard &
trap 'kill $(jobs -p)' EXIT
sleep 20 # at least one worker must be there

nuhf contour coherent-csi-2021 -p r2nu_ee -p r2nu_mumu --method feldman-cousins \
    --toys 2000 --points 40 --scheduler "$address" --checkpoint radii.toys -o radii.png
