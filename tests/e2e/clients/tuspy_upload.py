"""tuspy_upload.py BASE KEY VIDEO FILE --log FILE [--chunk BYTES] [--die-after BYTES] [--resume URL]

Uploads with tuspy. The log has a line for the upload's address, each offset sent from and each acknowledged.
"""

import argparse
import json
import os
import signal

from tusclient.client import TusClient


def main():
    parser = argparse.ArgumentParser()
    for name in ("base", "key", "video", "file"):
        parser.add_argument(name)
    parser.add_argument("--log", required=True)
    parser.add_argument("--chunk", type=int, default=1 << 20)
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--resume")
    upload(parser.parse_args())


def upload(args):
    client = TusClient(f"{args.base}/api/v1/uploads", headers={"Authorization": f"Bearer {args.key}"})
    uploader = client.uploader(
        args.file,
        chunk_size=args.chunk,
        metadata={"filename": os.path.basename(args.file), "video": args.video},
        url=args.resume,
    )
    size = uploader.get_file_size()
    while uploader.offset < size:
        note(args.log, "send", offset=uploader.offset)
        had_url = uploader.url is not None
        uploader.upload_chunk()
        if not had_url:
            note(args.log, "url", url=uploader.url)
        note(args.log, "ack", offset=uploader.offset)
        if args.die_after is not None and uploader.offset >= args.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
    note(args.log, "done")


def note(path, event, **details):
    with open(path, "a", encoding="utf-8") as log:
        log.write(json.dumps({"event": event, **details}) + "\n")


if __name__ == "__main__":
    main()
