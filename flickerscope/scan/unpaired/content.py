"""What is kept of a clip that is measured alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from flickerscope.scan.job import Choices, Result, attempt, open_clip, vbench_content
from flickerscope.scan.remote import Copies

if TYPE_CHECKING:
    from flickerscope.measurement import Measurement

__all__ = ["LoneJob", "lone_content", "run_lone"]

WHOLE: Final = (
    *("citation", "unit", "deviation", "headline", "motion", "energy", "pulses", "motion_map"),
    *("results", "floor_db"),
)
"""Parts of the report that are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneJob:
    """A clip that is measured by itself."""

    path: str
    choices: Choices
    """With the segment length that all clips have."""
    device: str = "cpu"
    saved: str | None = None
    """Its measurement as JSON, where there is one instead of a file."""

    @property
    def files(self) -> int:
        """How many it reads."""
        return 1


def run_lone(job: LoneJob) -> list[Result]:
    """The readings of one clip."""
    from flickerscope.kernel import Workers
    from flickerscope.measure import measure_new
    from flickerscope.measurement import Measurement
    from flickerscope.resources import pick_resources

    choices = job.choices
    copies = Copies(choices.cache)
    resources = pick_resources(job.device, threads=choices.threads, memory=choices.memory)

    def work() -> dict[str, Any]:
        if job.saved is not None:
            whole = Measurement.from_json(job.saved, job.path)
            return lone_content(_at_segment(whole, choices, job.path))
        with Workers.start(resources) as workers, copies.holding(job.path) as path:
            settings = choices.settings.of_one_video.with_changes(segment=choices.settings.segment)
            source = open_clip(path, choices, workers)
            measured = measure_new(source, settings, workers)[0]
            further = vbench_content(path, choices) if choices.vbench else {}
            return lone_content(_at_segment(measured, choices, job.path)) | further

    return [attempt(job.path, work, copies)]


def _at_segment(whole: Measurement, choices: Choices, path: str) -> Measurement:
    """Only the segments of the scan."""
    from flickerscope.errors import TooShortError

    frames = choices.settings.segment
    if frames is None or frames not in whole.rungs:
        raise TooShortError(f"{path}: too short: no shot of {frames} frames")
    return replace(whole, rungs={frames: whole.rungs[frames]})


def lone_content(result: Measurement) -> dict[str, Any]:
    """Readings by the names that they have in a report of `flickerscope analyze`."""
    from flickerscope.measurement import key
    from flickerscope.report.document import analysis_document
    from flickerscope.scan.record import OF_INPUT, sparse
    from flickerscope.scan.thumbnail import thumbnail_content

    report = analysis_document([result], "")
    video = report["videos"][0]
    energy = video["energy"]
    name = key(energy["plane"], energy["scale"])
    side = video["input"]
    return {
        "segment": result.segment,
        "input": {item: side[item] for item in OF_INPUT},
        **{part: video[part] for part in WHOLE},
        "epsilons": {band["name"]: band["epsilon"] for band in video["bands"]},
        "spectrum": video["spectra"].get(name),
        "histogram": sparse(video["histograms"]["counts"][name][energy["band"]]["video"]),
        "thumbnail": thumbnail_content(result),
        "warnings": report["warnings"],
        "notes": report["notes"],
    }
