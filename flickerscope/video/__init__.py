"""Video files, read and written with PyAV: the only room that imports it."""

from flickerscope.video.reader import VideoFile
from flickerscope.video.writer import encode

__all__ = ["VideoFile", "encode"]
