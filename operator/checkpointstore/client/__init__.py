"""What an application imports: LangGraph's own savers, which also know that threads may be cold.

It runs in the application's process and brings nothing else of this package along.
"""

from .aio import AsyncCheckpointStoreSaver, open_async_saver
from .binding import BindingNotFound
from .blobs import BlobDamaged, BlobError, BlobNotFound, BlobStore, BlobStoreRefused, BlobStoreUnavailable, open_blobs
from .saver import CheckpointStoreSaver, open_saver
from .serializer import BlobSerializer
from .steps import RecallFailed

__all__ = [
    "AsyncCheckpointStoreSaver",
    "BindingNotFound",
    "BlobDamaged",
    "BlobError",
    "BlobNotFound",
    "BlobSerializer",
    "BlobStore",
    "BlobStoreRefused",
    "BlobStoreUnavailable",
    "CheckpointStoreSaver",
    "RecallFailed",
    "open_async_saver",
    "open_blobs",
    "open_saver",
]
