"""Hooks of Schemathesis: most requests go to sessions, runs and agents that there are.

Random ids are never those of anything: without this nearly all answers were 404.
"""

import os
import random

import schemathesis

RUNS = [pair.split("/") for pair in os.environ.get("FUZZED_RUNS", "").split()]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "session_id" in path_parameters and RUNS and random.random() < 0.8:
        session_id, run_id = random.choice(RUNS)
        path_parameters["session_id"] = session_id
        if "run_id" in path_parameters:
            path_parameters["run_id"] = run_id
    elif path_parameters and "run_id" in path_parameters and RUNS and random.random() < 0.8:
        path_parameters["run_id"] = random.choice(RUNS)[1]
    if path_parameters and "agent_id" in path_parameters and random.random() < 0.5:
        path_parameters["agent_id"] = "Fuzzed"
    if path_parameters and "name" in path_parameters and random.random() < 0.5:
        path_parameters["name"] = random.choice(["scripted", "anthropic", "local"])
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    # What does not fit the schema stays so: that it is refused is checked.
    if isinstance(body, dict) and isinstance(body.get("agent_id"), str) and random.random() < 0.8:
        body["agent_id"] = "Fuzzed"
    if (
        isinstance(body, dict)
        and isinstance(body.get("provider"), dict)
        and isinstance(body["provider"].get("id"), str)
        and body["provider"]["id"]
        and random.random() < 0.8
    ):
        body["provider"]["id"] = "scripted"
    # MCP servers are programs and addresses: they are to be these alone, where they are any.
    if isinstance(body, dict) and isinstance(body.get("command"), list) and body["command"]:
        body["command"] = ["true", *body["command"][1:]]
    if isinstance(body, dict) and isinstance(body.get("url"), str) and body["url"]:
        body["url"] = "http://127.0.0.1:1/"
    if isinstance(body, dict) and isinstance(body.get("work_dir"), str) and random.random() < 0.8:
        body["work_dir"] = "."
    return body
