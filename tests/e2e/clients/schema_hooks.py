"""What schemathesis can't know by itself: how the bytes of an upload go into a request."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream", "image/jpeg", "image/png", "image/webp")
def octets(ctx, value):
    """Bytes as they are, whatever stands for them."""
    value = getattr(value, "data", value)
    return value if isinstance(value, bytes) else str(value).encode()
