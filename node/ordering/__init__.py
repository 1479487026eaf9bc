"""The driver of the built-in engine: performs the effects of the consensus core on disk, peers, timers and chain."""
