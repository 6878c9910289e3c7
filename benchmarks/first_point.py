"""How long a user waits: from the start to the first page, and from pressing start to the first loss point.

    python -m benchmarks.first_point [--json]

Starts `headstart serve` on a fresh data folder with the sample data and the starter model. Run it on a quiet machine.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any


def call(url: str, body: Any = None, method: str = "GET") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        content = answer.read()
    return json.loads(content) if "json" in answer.headers["content-type"] else content


def measure(home: str) -> dict[str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    served = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--home", home, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HEADSTART_OFFLINE": "1"},
    )
    try:
        while True:
            try:
                call(f"{url}/")
                break
            except (OSError, urllib.error.URLError):
                time.sleep(0.01)
        first_page = time.perf_counter() - began
        dataset = call(f"{url}/api/datasets/sample", {}, "POST")
        time.sleep(15)  # a user looks at the form meanwhile; the warm trainer gets ready
        columns = {"text": "text", "label": "label"}
        spec = {"dataset": dataset["id"], "task": "classification", "columns": columns, "epochs": 1}
        began = time.perf_counter()
        run = call(f"{url}/api/runs", spec, "POST")["id"]
        while not call(f"{url}/api/runs/{run}/points?series=train/loss")["train/loss"]["step"]:
            time.sleep(0.01)
        first_point = time.perf_counter() - began
        while call(f"{url}/api/runs/{run}")["state"] != "succeeded":
            time.sleep(0.1)
        answers = []
        for _ in range(6):
            began = time.perf_counter()
            call(f"{url}/api/runs/{run}/predict", {"inputs": ["Where is my order?"]}, "POST")
            answers.append(time.perf_counter() - began)
        return {
            "first_page_seconds": first_page,
            "first_point_seconds": first_point,
            "first_answer_seconds": answers[0],
            "warm_answer_seconds": sorted(answers[1:])[2],
        }
    finally:
        served.send_signal(signal.SIGINT)
        served.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = measure(home)
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, seconds in found.items():
            print(f"{name:24} {seconds:6.2f}")


if __name__ == "__main__":
    main()
