"""An agent that looks at doors, and at the end needs the code of the first one."""
import json
import os
import sys
import urllib.request

BASE = f"{os.environ['RECAPD_URL']}/v1/trajectories/{os.environ['RECAPD_TRAJECTORY']}"
CODE = "qx-%s-7741" % os.environ["RECAPD_TASK_ID"]


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def look(number, text):
    call = {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": json.dumps({"door": number})}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": text},
    ]


ask("/messages", {"messages": [{"role": "user", "content": sys.argv[1]}]})
for number in range(30):
    lines = [f"wall {line} beside door {number} is painted in shade {number * 31 + line}" for line in range(8)]
    if number == 0:
        lines.insert(3, f"code of the door is {CODE}")
    ask("/messages", {"messages": look(number, "\n".join(lines))})
    context = ask("/context")
seen = CODE in json.dumps(context["messages"])
print(json.dumps({"success": seen, "score": 1.0 if seen else 0.0}))
