#!/usr/bin/env python3
"""Serves one GGUF model over an OpenAI-compatible HTTP API on loopback, with llama.cpp.

Prints `listening on http://127.0.0.1:PORT` when it is ready, and ends when its standard input closes: a test's
server dies with the test. One thread by default, so that it shares a small machine.
"""

import argparse
import os
import pathlib
import signal
import sys

import xllamacpp


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path, help="GGUF file")
    parser.add_argument("port", type=int, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--context", type=int, default=4096, help="tokens of context (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of computation (%(default)s)")
    given = parser.parse_args()
    if not given.model.is_file():
        parser.error(f"there is no file {given.model}")
    return given


def parameters(given):
    params = xllamacpp.CommonParams()
    params.model.path = str(given.model)
    params.model_alias = {given.model.stem}
    params.hostnames = ["127.0.0.1"]
    params.port = given.port
    params.n_ctx = given.context
    params.n_parallel = 1
    params.endpoint_metrics = True
    params.offline = True
    params.warmup = False
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = given.threads
        # Waiting threads sleep instead of spinning.
        pool.poll = 0
    return params


def main():
    server = xllamacpp.Server(parameters(arguments()))
    # The server's own handling of these waits for requests that may take minutes.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    print(f"listening on {server.listening_address}", flush=True)
    while sys.stdin.buffer.read(4096):
        pass
    # Without the orderly end, which waits for running requests as well.
    os._exit(0)


main()
