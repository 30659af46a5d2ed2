"""Which names are those of videos, pictures and files of arrays."""

from __future__ import annotations

from typing import Final

__all__ = ["IMAGE_SUFFIXES", "TENSOR_SUFFIXES", "VIDEO_SUFFIXES"]

VIDEO_SUFFIXES: Final = (
    *(".3gp", ".apng", ".asf", ".avi", ".avif", ".flv", ".gif", ".m2ts", ".m4v", ".mkv"),
    *(".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".webm"),
    *(".wmv", ".y4m"),
)
TENSOR_SUFFIXES: Final = (".npy", ".npz", ".pt", ".pth", ".safetensors")
IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".exr")
