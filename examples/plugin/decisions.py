#!/usr/bin/env python3
"""Brokerage, retry, naming and notification plug-ins for PanDA: rules from a JSON file. Standard library only; docs/plugins.md has the protocol.

    decisions.py RULES.json

RULES.json: {"closed": {"QUEUE": "why"}, "hopeless": [["trans", 65]], "prefix": "exp", "news": "news.txt"}; all of it may be left out.
A queue that is closed gets no jobs; an error that is hopeless is not tried again; names of outputs begin with the prefix; news is appended to a
file, once.

The file is read again for each call, so that it may be changed at any time.
"""

import json
import sys

LATER, NO_METHOD = -32002, -32601


def rules():
    with open(sys.argv[1], encoding="utf-8") as f:
        return json.load(f)


def initialize(p):
    return {"protocol": 1, "name": f"decisions.py for {p['kind']}"}


def choose(p):
    closed = rules().get("closed", {})
    kept = [{"queue": c["queue"]} for c in p["candidates"] if c["queue"] not in closed]
    why = [closed[c["queue"]] for c in p["candidates"] if c["queue"] in closed]
    return {"queues": kept, "reason": "; ".join(sorted(set(why)))}


def judge(p):
    hopeless = [tuple(e) for e in rules().get("hopeless", [])]
    for e in p["errors"]:
        if (e["source"], e["code"]) in hopeless:
            return {"retry": False, "reason": f"{e['source']} error {e['code']} is hopeless"}
    return {"retry": True, "reason": "no error is hopeless"}


def name(p):
    prefix = rules().get("prefix")
    return {"names": [o["neutral"] if prefix is None else f"{prefix}.{o['neutral']}" for o in p["outputs"]]}


def tell(p):
    path = rules().get("news")
    if path is not None:
        line = json.dumps({"key": p["key"], **p["news"]})
        with open(path, "a+", encoding="utf-8") as f:
            f.seek(0)
            # The same key again is the same news.
            if all(json.loads(known)["key"] != p["key"] for known in f):
                f.write(line + "\n")
    return {}


METHODS = {"initialize": initialize, "brokerage.choose": choose, "retry.judge": judge, "naming.outputs": name, "notify.tell": tell}


def main():
    for line in sys.stdin:
        call = json.loads(line)
        answer = {"jsonrpc": "2.0", "id": call["id"]}
        method = METHODS.get(call["method"])
        try:
            if method is None:
                answer["error"] = {"code": NO_METHOD, "message": f"no method {call['method']}"}
            else:
                answer["result"] = method(call["params"])
        except Exception as e:  # whatever it is, it is tried again
            answer["error"] = {"code": LATER, "message": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
