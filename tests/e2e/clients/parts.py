"""parts.py BASE KEY VIDEO FILE --log FILE --parts URL [--die-after BYTES]

Sends a file straight to the bucket by presigned part URLs. The log names each part sent and each acknowledged;
a second run with the same log sends only what was not acknowledged.
"""

import argparse
import json
import os
import signal

import requests
from botocore.httpsession import URLLib3Session
from botocore.awsrequest import AWSRequest


def main():
    parser = argparse.ArgumentParser()
    for name in ("base", "key", "video", "file"):
        parser.add_argument(name)
    parser.add_argument("--log", required=True)
    parser.add_argument("--parts", required=True)
    parser.add_argument("--die-after", type=int)
    upload(parser.parse_args())


def upload(args):
    size = os.path.getsize(args.file)
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {args.key}"
    done = acknowledged(args.log)
    plan = ask(api, args.parts, {"size_bytes": size, "numbers": [1]})
    count = -(-size // plan["part_size"])
    missing = [number for number in range(1, count + 1) if number not in done]
    sent = 0
    if missing:
        plan = ask(api, args.parts, {"size_bytes": size, "numbers": missing})
    for part in plan["parts"] if missing else []:
        offset = (part["number"] - 1) * plan["part_size"]
        note(args.log, "send", number=part["number"])
        done[part["number"]] = put(part["url"], args.file, offset, min(plan["part_size"], size - offset))
        note(args.log, "ack", number=part["number"], etag=done[part["number"]])
        sent += min(plan["part_size"], size - offset)
        if args.die_after is not None and sent >= args.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
    finish = args.parts.removesuffix("/parts") + "/finish"
    ask(api, finish, {"parts": [{"number": number, "etag": etag} for number, etag in sorted(done.items())]})
    note(args.log, "done")


def put(url, path, offset, length):
    """One presigned PUT through the HTTP layer of boto3, as its own uploads go."""
    with open(path, "rb") as file:
        file.seek(offset)
        body = file.read(length)
    answer = URLLib3Session().send(AWSRequest("PUT", url, {"Content-Length": str(length)}, body).prepare())
    if answer.status_code != 200:
        raise SystemExit(f"part at {offset}: {answer.status_code} {answer.text}")
    return answer.headers["ETag"]


def ask(api, url, body):
    answer = api.post(url, json=body)
    if not answer.ok:
        raise SystemExit(f"{url}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else {}


def acknowledged(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as log:
        events = [json.loads(line) for line in log]
    return {event["number"]: event["etag"] for event in events if event["event"] == "ack"}


def note(path, event, **details):
    with open(path, "a", encoding="utf-8") as log:
        log.write(json.dumps({"event": event, **details}) + "\n")


if __name__ == "__main__":
    main()
