#!/bin/bash
# Train on the nodes of a SLURM job, one process a GPU. The words after the script are bnn-train's:
#
#     sbatch --nodes 2 --gpus-per-node 8 scripts/slurm_train.sh --config configs/imagenet/xnor_resnet18.yaml --set data.root=/data/imagenet
#
# The same command again goes on from the last checkpoint, and so does a requeued job. Each node needs the data at the same path; the first
# writes the run's folder. Three minutes before its time is up, the job saves and ends.
#SBATCH --job-name=bnn-train
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --signal=TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

processes=${SLURM_GPUS_ON_NODE:-1}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export OMP_NUM_THREADS=$((${SLURM_CPUS_PER_TASK:-$processes} / processes))
# With the launcher's shared store, three of six restarts after a lost process hung or failed; without it none did.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
export HEAD=$head PROCESSES=$processes PORT=$((20000 + SLURM_JOB_ID % 20000)) PYTHON=${PYTHON:-python}

# Signals that the launcher does not handle kill it and leave its processes running; the time to save is that of the largest checkpoint.
srun --kill-on-bad-exit=0 bash -c '
    exec "$PYTHON" -m torch.distributed.run --nnodes "$SLURM_NNODES" --nproc-per-node "$PROCESSES" \
        --rdzv-backend c10d --rdzv-endpoint "$HEAD:$PORT" --rdzv-id "$SLURM_JOB_ID" \
        --rdzv-conf "is_host=$([ "$SLURM_NODEID" = 0 ] && echo true || echo false)" \
        --max-restarts 3 --signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2 \
        -m bnn_train "$@" --resume
' bash "$@"
