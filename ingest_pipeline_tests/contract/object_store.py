"""An S3 server for tests: the one at TEST_S3_ENDPOINT_URL, or moto's, started for the purpose.

moto's server speaks S3's protocol over HTTP and keeps objects in memory; the client is the one that
deployments use. A server of one's own is reached with the credentials of the environment.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

INVENTED = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "invented-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A bucket on a server.

    Attributes:
        url: The bucket as an fsspec URL.
        environment: The variables that lead a client to the server.
    """

    url: str
    environment: dict[str, str]


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """Yield an empty bucket.

    s3fs keeps its clients by their arguments, not by the environment that they were made in: those of an
    earlier server in this process are forgotten before, and those of this one after.
    """
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    try:
        with _bucket() as store:
            yield store
    finally:
        S3FileSystem.clear_instance_cache()


@contextmanager
def _bucket() -> Iterator[ObjectStore]:
    endpoint = os.environ.get("TEST_S3_ENDPOINT_URL")
    bucket = f"ingest-test-{uuid.uuid4().hex[:12]}"
    if endpoint:
        yield _with_bucket(bucket, {**os.environ, "AWS_ENDPOINT_URL": endpoint})
        return
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield _with_bucket(bucket, {**INVENTED, "AWS_ENDPOINT_URL": f"http://{host}:{port}"})
    finally:
        server.stop()


def _with_bucket(bucket: str, environment: dict[str, str]) -> ObjectStore:
    from botocore.session import get_session

    client = get_session().create_client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        region_name=environment.get("AWS_DEFAULT_REGION", "us-east-1"),
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    return ObjectStore(f"s3://{bucket}", {k: v for k, v in environment.items() if k.startswith("AWS_")})
