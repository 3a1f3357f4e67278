"""Where jobs run: on this machine, or through Slurm. One small interface (:mod:`.base`), two engines."""
