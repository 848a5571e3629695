#!/usr/bin/env python3
"""A data management plug-in for PanDA: data sets from a JSON file. Standard library only; docs/plugins.md has the protocol.

    data_management.py CATALOGUE.json

CATALOGUE.json: {"datasets": {"scope:name": {"open": false, "files": [
    {"lfn": "a.root", "size_bytes": 10, "checksum": "ad:00000001", "n_events": 5,
     "replicas": [{"rse": "SITE_DISK", "pfn": "/data/a.root"}]}]}}}

The file is read again for each call, so that it may be changed at any time. Registered outputs go to CATALOGUE.json itself.
"""

import json
import os
import sys

UNKNOWN, LATER, NO_METHOD = -32001, -32002, -32601


class Failure(Exception):
    """An error answer: UNKNOWN is definite, anything else is tried again."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Catalogue:
    def __init__(self, path):
        self.path = path

    def read(self):
        try:
            with open(self.path, encoding="utf-8") as f:
                return json.load(f)
        except (OSError, ValueError) as e:
            raise Failure(LATER, f"{self.path} cannot be read: {e}") from e

    def write(self, content):
        part = self.path + ".part"
        with open(part, "w", encoding="utf-8") as f:
            json.dump(content, f, indent=1)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, self.path)

    def dataset(self, name):
        found = self.read().get("datasets", {}).get(name)
        if found is None:
            raise Failure(UNKNOWN, f"there is no data set {name}")
        return found

    def initialize(self, p):
        return {"protocol": 1, "name": "data_management.py"}

    def resolve(self, p):
        return {"name": p["name"], "open": self.dataset(p["name"]).get("open", False)}

    def files(self, p):
        files = sorted(self.dataset(p["name"]).get("files", []), key=lambda f: f["lfn"])
        rest = [f for f in files if f["lfn"] > p["after"]]
        return {"files": rest[: p["limit"]], "more": len(rest) > p["limit"]}

    def register(self, p):
        content = self.read()
        known = content.setdefault("keys", [])
        if p["key"] not in known:
            files = content.setdefault("datasets", {}).setdefault(p["name"], {}).setdefault("files", [])
            there = {f["lfn"] for f in files}
            files.extend(f for f in p["files"] if f["lfn"] not in there)
            known.append(p["key"])
            self.write(content)
        return {}

    def delete(self, p):
        content = self.read()
        if content.get("datasets", {}).pop(p["name"], None) is not None:
            self.write(content)
        return {}

    def stage(self, p):
        files = self.dataset(p["name"]).get("files", [])
        return {"complete": all(any(r["rse"] == p["rse"] for r in f.get("replicas", [])) for f in files)}


def methods(c):
    return {
        "initialize": c.initialize,
        "data.resolve": c.resolve,
        "data.files": c.files,
        "data.register": c.register,
        "data.delete": c.delete,
        "data.stage": c.stage,
    }


def answer(known, call):
    """The answer to a call: whatever goes wrong is an error answer, never the end of this program."""
    reply = {"jsonrpc": "2.0", "id": call["id"]}
    try:
        method = known.get(call["method"])
        if method is None:
            raise Failure(NO_METHOD, f"no method {call['method']}")
        reply["result"] = method(call["params"])
    except Failure as e:
        reply["error"] = {"code": e.code, "message": str(e)}
    except Exception as e:  # a bug of ours is a temporary error, too
        reply["error"] = {"code": LATER, "message": f"{type(e).__name__}: {e}"}
    return reply


def main():
    known = methods(Catalogue(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(answer(known, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
