"""Uploads a clip by tus, publishes it and reads it back, through the client that openapi-python-client made of the document."""

import base64
import sys
import time
from io import BytesIO

from policast_client import AuthenticatedClient, Client
from policast_client.api.accounts import get_account
from policast_client.api.playback import get_master_playlist
from policast_client.api.uploads import append_upload, create_upload, get_upload
from policast_client.api.videos import create_video, get_video, publish_video
from policast_client.models import Account, MediaState, Problem, Upload, Video, VideoDraft, VideoState
from policast_client.types import File

base, key, path = sys.argv[1:]
client = AuthenticatedClient(base_url=base, token=key, raise_on_unexpected_status=True)
TUS = "1.0.0"

account = get_account.sync("lanting-ecology", client=client)
assert isinstance(account, Account), account

# What is wrong is a value, too: with all its faults.
refused = create_video.sync(client=client, body=VideoDraft(account="!", topic="?", title="", language="en"))
assert isinstance(refused, Problem), refused
assert {fault.pointer for fault in refused.errors} == {"/account", "/topic", "/title"}, refused

draft = VideoDraft(account=account.handle, topic="environment/air", title="By Python", language="en")
video = create_video.sync(client=client, body=draft)
assert isinstance(video, Video) and video.state == VideoState.DRAFT, video

clip = open(path, "rb").read()
metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in
                    {"video": str(video.id), "filename": "clip.mp4"}.items())
announced = create_upload.sync_detailed(client=client, body=File(BytesIO(b"")), tus_resumable=TUS,
                                        upload_length=len(clip), upload_metadata=metadata)
assert announced.status_code == 201, announced
upload = announced.headers["Location"].rsplit("/", 1)[-1]

half = len(clip) // 2
for offset, bytes_ in ((0, clip[:half]), (half, clip[half:])):
    sent = append_upload.sync_detailed(upload, client=client, body=File(BytesIO(bytes_)), tus_resumable=TUS,
                                       upload_offset=offset)
    assert sent.status_code == 204, sent
found = get_upload.sync(upload, client=client)
assert isinstance(found, Upload) and found.offset == len(clip), found

deadline = time.monotonic() + 300
while True:
    video = get_video.sync(video.id, client=client)
    assert isinstance(video, Video) and video.media is not None, video
    if video.media.state == MediaState.READY:
        break
    assert video.media.state != MediaState.FAILED and time.monotonic() < deadline, video
    time.sleep(0.3)
published = publish_video.sync(video.id, client=client)
assert isinstance(published, Video) and published.state == VideoState.PUBLISHED, published

anybody = Client(base_url=base, raise_on_unexpected_status=True)
seen = get_video.sync(video.id, client=anybody)
assert isinstance(seen, Video) and seen.title["en"] == "By Python", seen
master = get_master_playlist.sync_detailed(video.id, client=anybody)
assert master.status_code == 200 and master.content.startswith(b"#EXTM3U"), master
