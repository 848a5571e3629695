"""The example plug-in, or one that is broken in the way that a file says, which is read for each call.

    wayward.py MODE_FILE PID_FILE EXAMPLE.py CATALOGUE.json
"""

import importlib.util
import json
import os
import sys
import time

# The example's folder is a part of the source.
sys.dont_write_bytecode = True
mode_file, pid_file, example_file, catalogue = sys.argv[1:]


def mode():
    with open(mode_file, encoding="utf-8") as f:
        return f.read().strip()


with open(pid_file, "w", encoding="utf-8") as f:
    f.write(str(os.getpid()))
if mode() == "exit at start":
    sys.exit(7)
spec = importlib.util.spec_from_file_location("example", example_file)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
known = example.methods(example.Catalogue(catalogue))
for line in sys.stdin:
    call = json.loads(line)
    reply = example.answer(known, call)
    how = "good" if call["method"] == "initialize" else mode()
    if how == "exit in the middle":
        sys.exit(3)
    if how in ("hang", "hang for a kill"):
        time.sleep(3600)
    if how == "nonsense":
        print("Traceback (most recent call last):", flush=True)
        continue
    if how == "wrong id":
        reply["id"] = 4711
    if how == "huge line":
        reply["result"] = {"name": "x" * (5 << 20)}
    print(json.dumps(reply), flush=True)
