"""A plug-in that is broken in the way that the file of its first argument says, read for each call."""
import json, os, sys, time

for line in sys.stdin:
    call = json.loads(line)
    mode = open(sys.argv[1]).read().strip()
    if call["method"] == "initialize":
        print(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": {"protocol": 9 if mode == "version" else 1}}), flush=True)
        continue
    answer = {"jsonrpc": "2.0", "id": call["id"], "result": {"name": call["params"]["name"], "open": False}}
    if mode == "crash":
        sys.exit(3)
    if mode == "hang":
        if os.fork() == 0:
            open(sys.argv[1] + ".child", "w").write(str(os.getpid()))
        time.sleep(3600)
    if mode == "slow":
        time.sleep(4)
    if mode == "one by one":
        time.sleep(0.4)
    if mode == "nonsense":
        print("Traceback: not JSON", flush=True)
        continue
    if mode == "long":
        answer["result"]["name"] = "x" * 200000
    if mode == "wrong_id":
        answer["id"] = 4711
    if mode == "wrong_types":
        answer["result"] = {"name": 7, "open": "perhaps"}
    if mode == "late_answers":
        # Answers in the other order: reads the second call first.
        second = json.loads(sys.stdin.readline())
        print(json.dumps({"jsonrpc": "2.0", "id": second["id"], "result": {"name": second["params"]["name"]}}), flush=True)
    print(json.dumps(answer), flush=True)
