"""An MCP server by hand, with all the bad manners: no SDK, so that it starts at once.

It is a program: `python fake_server.py [NAME=VALUE ...]`, with the settings below.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

SETTINGS = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
OUT = sys.stdout.buffer
LOCK = threading.Lock()


def write(message):
    with LOCK:
        OUT.write(json.dumps(message).encode() + b"\n")
        OUT.flush()


def answer(id, result):
    write({"jsonrpc": "2.0", "id": id, "result": result})


def text(id, words, **more):
    answer(id, {"content": [{"type": "text", "text": words}], **COMMON, **more})


COMMON = {"resultType": "complete"} if "modern" in SETTINGS else {}


def notify(method, **params):
    write({"jsonrpc": "2.0", "method": method, "params": params})


def log(what):
    if "log" in SETTINGS:
        with Path(SETTINGS["log"]).open("a") as file:
            file.write(json.dumps(what) + "\n")


TOOLS = {
    "echo": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    "hang": {"type": "object"},
    "die": {"type": "object"},
}


def listed(params):
    count = int(SETTINGS.get("tools", 0))
    tools = [{"name": name, "inputSchema": schema} for name, schema in TOOLS.items()]
    tools += [{"name": f"more{i}", "inputSchema": {"type": "object"}} for i in range(count)]
    tools += json.loads(SETTINGS.get("extra", "[]"))
    result = {"tools": tools}
    if "modern" in SETTINGS:
        result |= {**COMMON, "ttlMs": 0, "cacheScope": "private"}
    if "endless" in SETTINGS:
        result["nextCursor"] = "again"
    return result


def mark(id, mark, log, how="", seconds=0.0):
    """Leave a mark that the call has run, and then answer, or not: as `how` says."""
    with Path(log).open("a") as file:
        file.write(f"{mark}\n")
    if how == "hang":
        return
    if how == "die":
        os._exit(3)
    if how == "children":
        stubborn = "trap '' TERM; sleep 1000; sleep 1000"
        for command in (["sleep", "1000"], ["setsid", "sleep", "1000"], ["sh", "-c", stubborn]):
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if how == "refuse":
        write({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": f"refused {mark}"}})
        return
    failed = how == "fail"
    words = f"{'failed' if failed else 'marked'} {mark}" + "x" * (100_000 if how == "big" else 0)
    # Calls that take time run side by side.
    threading.Timer(seconds, text, (id, words), {"isError": failed}).start()


def call(id, name, arguments, meta):
    if name == "echo":
        text(id, arguments["text"])
    elif name == "hang":
        log({"hanging": id})
        for at in range(int(arguments.get("progress", 0))):
            notify(
                "notifications/progress",
                progressToken=meta.get("progressToken"),
                progress=at + 1,
                total=3,
                message="working",
            )
    elif name == "die":
        sys.stderr.write("I am dying\n")
        sys.stderr.flush()
        os._exit(3)
    elif name == "big":
        text(id, "x" * int(arguments["length"]))
    elif name == "nested":
        lists = "[" + ",".join(["[]"] * int(arguments["count"])) + "]"
        line = json.dumps(
            {"jsonrpc": "2.0", "id": id, "result": {"content": [], "structuredContent": {"a": "@"}}}
        )
        with LOCK:
            OUT.write(line.replace('"@"', lists).encode() + b"\n")
            OUT.flush()
    elif name == "flood":
        for _ in range(int(arguments["count"])):
            notify("notifications/message", level="info", data="noise")
        text(id, "done")
    elif name == "result":
        answer(id, arguments)
    elif name == "raw":
        with LOCK:
            OUT.write(arguments["line"].encode() + b"\n")
            OUT.flush()
        text(id, "after")
    elif name == "mark":
        mark(id, **arguments)
    elif name == "twice":
        answer(987654, {"content": []})
        text(id, "first")
        text(id, "second")
    elif name == "late":
        log({"late": id})
    elif name == "close_stdout":
        os.close(1)
    elif name == "ask":
        write(
            {
                "jsonrpc": "2.0",
                "id": "question",
                "method": "elicitation/create",
                "params": arguments,
            }
        )
        ASKED["question"] = id
    elif name == "roots":
        write({"jsonrpc": "2.0", "id": "roots", "method": "roots/list"})
        ASKED["roots"] = id
    elif name == "pings":
        for at in range(int(arguments["count"])):
            write({"jsonrpc": "2.0", "id": f"p{at}", "method": "ping"})
        text(id, "pinged")
    elif name == "change":
        SETTINGS["extra"] = json.dumps([{"name": "new", "inputSchema": {"type": "object"}}])
        notify("notifications/tools/list_changed")
        text(id, "changed")
    elif name == "environment":
        text(id, json.dumps(dict(os.environ, cwd=str(Path.cwd()))))
    else:
        write({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": f"no tool {name}"}})


def ask_as_of_2026(id, params):
    if responses := params.get("inputResponses"):
        text(id, json.dumps(responses["q"]), resultType="complete")
    else:
        asked = {"method": "elicitation/create", "params": params["arguments"]}
        answer(
            id,
            {"resultType": "input_required", "inputRequests": {"q": asked}, "requestState": "s"},
        )


MORE = """nested
big flood result raw twice late close_stdout ask roots pings change environment mark
"""
for name in MORE.split():
    TOOLS[name] = {"type": "object"}

ASKED = {}


def serve(line):
    message = json.loads(line)
    log(message)
    method, id, params = message.get("method"), message.get("id"), message.get("params") or {}
    if method == "initialize":
        capabilities = {"tools": {"listChanged": True}, "logging": {}}
        version = SETTINGS.get("version", params["protocolVersion"])
        answer(
            id,
            {
                "protocolVersion": version,
                "capabilities": capabilities,
                "serverInfo": {"name": "fake", "version": "1"},
            },
        )
    elif method == "server/discover" and "modern" in SETTINGS:
        answer(
            id,
            {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "ttlMs": 0,
                "cacheScope": "private",
            },
        )
    elif method == "server/discover":
        if "strict" in SETTINGS:
            os._exit(1)
        write({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "what?"}})
    elif method == "tools/list":
        answer(id, listed(params))
    elif method == "tools/call":
        if params["name"] == "ask" and "modern" in SETTINGS:
            ask_as_of_2026(id, params)
            return
        call(id, params["name"], params.get("arguments", {}), params.get("_meta", {}))
    elif method is None and id in ASKED:
        text(ASKED.pop(id), json.dumps(message.get("result") or message.get("error")))
    elif method == "notifications/cancelled" and "late" in SETTINGS:
        text(params["requestId"], "too late")


def main():
    print(SETTINGS.get("stderr", "fake is here"), file=sys.stderr, flush=True)
    if "rubbish" in SETTINGS:
        print("Welcome to my server!\n{broken\n[1]\n", flush=True)
    if "exit" in SETTINGS:
        sys.exit(int(SETTINGS["exit"]))
    if "no_term" in SETTINGS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "children" in SETTINGS:
        for command in (["sleep", "1000"], ["setsid", "sleep", "1000"]):
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            log({"child": child.pid})
    log({"pid": os.getpid()})
    if "hang" in SETTINGS:
        time.sleep(1000)
    for line in sys.stdin.buffer:
        serve(line)
    if "stay" in SETTINGS:
        time.sleep(1000)


main()
