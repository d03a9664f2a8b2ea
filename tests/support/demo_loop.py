"""A tiny loop, for tests to run as a process: it prints what it does, and ends after a line on its standard input."""

import asyncio
import sys
import threading

from service_kit import lifecycle
from service_kit.observability import logs


async def loop(stop: lifecycle.Stop) -> None:
    print("running", flush=True)
    await stop.wait()
    print("asked", flush=True)
    if sys.argv[1:2] == ["hang"]:
        threading.Event().wait()
    await asyncio.to_thread(sys.stdin.readline)
    if sys.argv[1:] == ["leave-a-thread", "soon"]:
        threading.Thread(target=threading.Event().wait).start()
    if sys.argv[1:] == ["fail"]:
        raise RuntimeError("could not finish")
    print("finished", flush=True)


if __name__ == "__main__":
    logs.configure("demo")
    sys.exit(lifecycle.run_loop(loop, within=0.5 if "soon" in sys.argv else 60))
