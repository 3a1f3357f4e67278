"""Data that the panel is shown in tests: fixed times, no paths that vary."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from backends.telemetry.rules import Alert
from backends.telemetry.sample import Gpu, GpuProcess, Host, HostJob, Mig, Telemetry, Xid
from db.home import Home
from db.runs.rows import Alarm, Message, MetricPoint, Prediction, Run, Score
from db.runs.telemetry import Mark, Span
from db.tracker.rows import DocumentScore, Item, Model, Section, Tracker
from fada_tui.app import PanelApp
from fada_tui.messages import RunLoaded, RunsLoaded, TelemetryLoaded, TrackerLoaded
from fada_tui.sources.views import Failure, History, RunList, RunView, TelemetryView

GIB = 1 << 30
NOWHERE = Home(Path("/nonexistent/fada"))
RunBefore = Callable[[Pilot[str]], Awaitable[None]]


def model(name: str, status: str = "TODO", *scores: DocumentScore, size: str = "8B", notes: str = "") -> Model:
    return Model(1, name, "Tier 1", 0, size, 8.0, "~16GB", 16.0, status, notes, "{}", scores, (), False)


def stated(kind: str, value: float, *, approximate: bool = False) -> DocumentScore:
    return DocumentScore(kind, "keyword" if kind == "proxy" else "cosine", value, None, approximate, "")


TRACKER = Tracker(
    "fada-v3",
    (
        Section(
            "General VLMs - Tier 1",
            0,
            (
                model("MiniCPM-V-2.6", "Proxy tested", stated("proxy", 0.889), notes="88.9% proxy, needs GT eval"),
                model("Qwen2-VL-7B", "Proxy tested", stated("proxy", 0.75, approximate=True)),
                model("Qwen2.5-VL-7B", "Fine-tuned", stated("gt", 0.811), size="7B"),
                model("Qwen3-VL-8B", "Local tested"),
                model("A model whose name is a good deal longer than the column", "TODO", size="-"),
            ),
        ),
        Section("Mobile [bold]not markup[/bold]", 1, (model("SmolVLM-256M", size="256M"),)),
    ),
    (
        Item(1, "Phase 1: Ground Truth Eval", "MiniCPM-V-2.6 (1,494 test images)", True, ("MiniCPM-V-2.6",)),
        Item(2, "Phase 1: Ground Truth Eval", "Qwen2-VL-7B (1,494 test images)", False, ("Qwen2-VL-7B",)),
        Item(5, "Phase 2: Fetal-Specific Models", "FetalCLIP", False, ()),
    ),
)


def run(number: int, state: str = "running", *, kind: str = "eval", name: str = "Qwen3-VL-8B") -> Run:
    over = state in ("done", "failed", "cancelled", "lost")
    begun = over or state == "running"
    return Run(
        id=number,
        kind=kind,
        task="gt" if kind == "eval" else None,
        model=name,
        state=state,
        reason=None,
        exit_code=None,
        signal=None,
        attempt=1,
        created=1000.0,
        started=1010.0 if begun else None,
        ended=1171.0 if over else None,
        done=812 if begun else None,
        total=2400 if begun else None,
        unit="steps" if begun else None,
        phase="train" if state == "running" else None,
        rate=3.2 if state == "running" else None,
        after=(),
        reserved_bytes=None,
        peak_bytes=None,
        run_dir=f"/nonexistent/fada/runs/{number}",
        fingerprint=None,
        position=float(number),
    )


def score(number: int, value: float, metric: str = "exact", *, step: int | None = None, alarms: int = 0) -> Score:
    raised = tuple(
        Alarm("collapse", f"Q{n}", "97 % of 600 answers are “Not determinable”") for n in range(3, 3 + alarms)
    )
    return Score(
        run=number,
        model="Qwen3-VL-8B",
        kind="gt",
        metric=metric,
        question=None,
        category=None,
        value=value,
        ci_low=value - 0.03,
        ci_high=value + 0.03,
        n=600,
        answered=600,
        failed=0,
        source="run",
        floors={"majority": 0.35},
        references={"category_majority": 0.52},
        alarms=raised,
        step=step,
        partial=step is not None,
    )


def answer(said: str | None, reference: str, error: str | None = None) -> Prediction:
    return Prediction("Femur/1.png#Q3", "Femur/1.png", "Femur", "Imaging Plane: Which?", said, reference, 0.1, 4, error)


LOSS = tuple(MetricPoint("loss", step, 3.0 / (1 + step / 60), 0.0) for step in range(0, 812, 12))
HELD_OUT = tuple(MetricPoint("eval_exact", step, 0.2 + step / 1500, 0.0) for step in range(0, 812, 100))

RUNNING = run(12, kind="finetune")
RUNS = RunList(
    (
        run(9, "failed", name="Pixtral-12B"),
        run(11, "done", name="Qwen2.5-VL-7B"),
        RUNNING,
        replace(run(13, "queued"), after=(12,)),
        replace(run(14, "queued", name="MiniCPM-V-2.6"), reason="needs 17.0 GiB, 11.9 GiB free"),
    ),
    (replace(score(11, 0.74, "cosine", alarms=1), model="Qwen2.5-VL-7B"),),
)
RUN_VIEW = RunView(
    RUNNING,
    {},
    {"loss": LOSS, "eval_exact": HELD_OUT},
    (score(12, 0.74, step=800),),
    (
        answer("Transthalamic plane", "Transthalamic plane"),
        answer("Femur", "Abdomen"),
        answer(None, "Femur", "timeout"),
    ),
    (Message(1100.0, "warning", "3 images are smaller than 64 pixels"),),
)
FAILED_VIEW = RunView(
    run(9, "failed", name="Pixtral-12B"),
    {},
    {},
    (),
    (),
    (Message(1100.0, "error", "CUDA out of memory; escape \x1b[31m shown, not obeyed"),),
    Failure("the model needs 26.1 GiB and the card has 23.5 GiB", "use a smaller batch: --set batch_size=1"),
)
_HOST = Host(0.42, 16, 21 * GIB, 64 * GIB, 512 * GIB, (HostJob(12, 6 * GIB),))


def gpu_sample(share: float, **changes: object) -> Telemetry:
    card = Gpu(
        index=0,
        name="NVIDIA GeForce RTX 5090",
        uuid="GPU-0",
        utilisation=share,
        memory_used=int(21.4 * GIB),
        memory_total=int(31.8 * GIB),
        power_w=412.0,
        power_limit_w=575.0,
        temperature_c=63.0,
        processes=(
            GpuProcess(100, int(18.9 * GIB), "me", 12),
            GpuProcess(7, int(0.6 * GIB), "other"),
        ),
    )
    return Telemetry(1000.0, (replace(card, **changes),), None, _HOST)  # type: ignore[arg-type]


GPU = TelemetryView(tuple(gpu_sample(0.5 + 0.49 * (i % 30) / 30) for i in range(90)), True)
GPU_NA = TelemetryView(
    (
        gpu_sample(0.5, utilisation=None, memory_used=None, memory_total=None, power_w=None, temperature_c=None),
    )
)  # fmt: skip
_SPARE = Gpu(1, "NVIDIA RTX A2000", "GPU-1", 0.1, GIB, 12 * GIB, 20.0, 70.0, 41.0)
_AWAY = dict.fromkeys(("utilisation", "memory_used", "memory_total", "power_w", "temperature_c"))
LOST = TelemetryView(
    (
        gpu_sample(0.97),
        replace(
            gpu_sample(0.0, reason="GPU 0: lost: it fell off the bus (`sudo dmesg | grep Xid` tells why)", **_AWAY),
            time=1001.0,
            xids=(Xid(1000.5, 0, 79, "the card fell off the bus: power, heat, a loose card or riser"),),
        ),
    ),
    True,
    (Alert("card:0", "card", "GPU 0: lost: it fell off the bus", 1001.0),),
)
HUNG = TelemetryView(
    (
        gpu_sample(0.97),
        replace(
            gpu_sample(0.0, reason="GPU 0: the driver does not answer", **_AWAY),
            reason="the NVIDIA driver has not answered for 12 s",
            silent_s=12.0,
        ),
    )
)
TWO_CARDS = TelemetryView((replace(gpu_sample(0.97), gpus=(*gpu_sample(0.97).gpus, _SPARE)),), True)
DIVIDED = TelemetryView(
    (
        gpu_sample(
            0.0,
            utilisation=None,
            missing={"utilisation": "not told while the card is divided (MIG)"},
            mig=(
                Mig(0, "NVIDIA H100 MIG 3g.40gb", "MIG-0", 12 * GIB, 40 * GIB),
                Mig(1, "NVIDIA H100 MIG 1g.10gb", "MIG-1", None, None),
            ),
        ),
    )
)
NOT_TOLD = TelemetryView(
    (
        gpu_sample(
            0.5,
            power_w=None,
            fan=None,
            processes=(GpuProcess(100, None, "me", 12),),
            missing={
                "power_w": "this card does not tell",
                "fan": "this card does not tell",
                "process_memory": "under WSL the driver does not tell what each process holds",
            },
        ),
    )
)
_HOURS = tuple(
    Span(60.0 * minute, gpu, (minute % 50) / 50, (minute % 32) * GIB, 32 * GIB, 4.0 * minute, 40.0 + minute / 2)
    for minute in range(60)
    if not 20 <= minute < 30
    for gpu in (-1, 0)
)
LONG = replace(
    GPU, history=History(0.0, 3600.0, _HOURS, (Mark(300.0, 11, True), Mark(1200.0, 11, False), Mark(1800.0, 12, True)))
)
NO_GPU = TelemetryView(
    tuple(
        Telemetry(1000.0 + i, (), "no NVIDIA driver (libnvidia-ml.so.1 was not found)", replace(_HOST, cpu=i / 60))
        for i in range(60)
    )
)


def make_app() -> PanelApp:
    """A panel that watches nothing: data comes by :func:`feed`."""
    return PanelApp(NOWHERE, live=False)


def feed(app: PanelApp, runs: RunList, view: RunView | None, telemetry: TelemetryView) -> None:
    app.post_message(TrackerLoaded(TRACKER))
    app.post_message(RunsLoaded(runs))
    app.post_message(RunLoaded(view))
    app.post_message(TelemetryLoaded(telemetry))


def fed(runs: RunList, view: RunView | None, telemetry: TelemetryView, *keys: str) -> RunBefore:
    """For ``snap_compare(run_before=…)``: hand the data in, then press keys."""

    async def before(pilot: Pilot[str]) -> None:
        assert isinstance(pilot.app, PanelApp)
        feed(pilot.app, runs, view, telemetry)
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()

    return before


def screen_text(app: PanelApp) -> str:
    """What stands on the screen, line by line."""
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in lines)
