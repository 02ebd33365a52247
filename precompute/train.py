"""Train SAEs on captured or streamed activations; hands on `saes/<id>/` in the SAELens layout, with metrics while they run."""

import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from catalog.catalog import Catalog
from loaders.errors import BadInput
from loaders.sae import SaeRecord
from loaders.workspace import Workspace
from precompute import loss_step
from precompute.batch_size import choose_batch
from precompute.checkpoints import load_checkpoint
from precompute.disk import require_space
from precompute.fvu import measure_together
from precompute.loss_recovered import NAME as LOSS_RECOVERED
from precompute.processes import Processes, started_by_torchrun
from precompute.progress import Progress
from precompute.row_sources import RowSource, open_source
from precompute.run_record import recorded_run
from precompute.saes import ARCHITECTURES
from precompute.threads import torch_threads
from precompute.train_config import PRESETS, Config, check, features_of
from precompute.trainer import Diverged, settings_of
from precompute.training_session import Session, require_same

__all__ = ["PRESETS", "Config", "run", "run_together"]


def run(config: Config, workspace: Workspace, progress: Progress, catalog: Catalog | None = None) -> Path:
    """Train, or go on from the newest checkpoint, and return the SAE's directory; a finished SAE is left as it is.

    Raises BadInput for settings that cannot be, for activations of another dataset, where the directory holds an SAE or a
    checkpoint of other settings or other activations, and for a run that diverges.
    """
    return run_together([config], workspace, progress, catalog)[0]


def run_together(
    configs: list[Config], workspace: Workspace, progress: Progress, catalog: Catalog | None = None
) -> list[Path]:
    """Train several SAEs in lockstep on the same rows of one model and dataset, which are read or harvested once.

    They share batch, seed, buffer and device; hook points, architectures and everything else may differ. One that diverges
    is recorded as failed while the others go on; its error is raised when they are done.
    """
    for config in configs:
        check(config)
        if config.architecture not in ARCHITECTURES:
            known = ", ".join(sorted(ARCHITECTURES))
            raise BadInput(f"Architecture '{config.architecture}' is unknown. Choose one of {known}.")
    first = configs[0]
    with started_by_torchrun(first.device) as processes, torch_threads(_threads(first, workspace)):
        source = open_source(configs, workspace, processes)
        batch = min(choose_batch(one, source.width(one.hook), processes.size, source.most()) for one in configs)
        configs = [replace(one, batch=batch) for one in configs]
        for config in configs:
            settings_of(config, source.width(config.hook), processes.size)  # refuses now what could not begin
        left = [config for config in configs if not _is_finished(config, workspace, source)]
        if left:
            _train(left, workspace, progress, catalog, source, processes)
        for config in configs:
            if config.model and processes.is_first and not (workspace.sae_dir(config.sae_id) / LOSS_RECOVERED).exists():
                loss_step.run(_measuring(config), workspace, progress)
        processes.wait()
    return [workspace.sae_dir(config.sae_id) for config in configs]


def _threads(config: Config, workspace: Workspace) -> int:
    saved = load_checkpoint(workspace.sae_dir(config.sae_id) / "checkpoints")
    return int(saved["threads"]) if saved else config.threads


def _is_finished(config: Config, workspace: Workspace, source: RowSource) -> bool:
    """Whether the SAE is there; raises BadInput when it is one of other settings, and where the disk is too full for it."""
    directory = workspace.sae_dir(config.sae_id)
    fingerprints = source.fingerprints(config.hook)
    if (directory / "cfg.json").exists():
        metadata = SaeRecord.open(directory).metadata
        require_same(directory, config, metadata.get("training", {}), fingerprints, metadata.get("fingerprints", {}))
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)
        return True
    width = source.width(config.hook)
    weights_bytes = 2 * features_of(config, width) * width * 4
    require_space(directory, 8 * weights_bytes, f"the checkpoints and weights of SAE '{config.sae_id}'")
    return False


def _train(
    configs: list[Config],
    workspace: Workspace,
    progress: Progress,
    catalog: Catalog | None,
    source: RowSource,
    processes: Processes,
) -> None:
    title = f"train {', '.join(config.sae_id for config in configs)}"
    with ExitStack() as stack:
        total = sum(config.steps for config in configs)
        bar = stack.enter_context(progress.step(title, total=total, unit="steps"))
        sessions = []
        for config in configs:
            record = stack.enter_context(recorded_run(config, catalog if processes.is_first else None))
            rows = source.rows(config.hook, config.batch)
            session = Session(config, workspace.sae_dir(config.sae_id), rows, record, processes, bar)
            stack.callback(session.close)
            sessions.append(session)
        failed = _advance_together(sessions)
        _export([session for session in sessions if session not in failed], source, processes)
        if len(failed) == 1:
            raise next(iter(failed.values()))
        if failed:
            raise BadInput(" ".join(str(error) for error in failed.values()))


def _export(sessions: list[Session], source: RowSource, processes: Processes) -> None:
    """Measure all on the held-out rows, which are read or harvested once, and write them."""
    blocks = source.held_out({session.config.hook for session in sessions}) if sessions else iter(())
    if not processes.is_first:
        for _ in blocks:  # its share of the passes
            pass
        return
    saes = [session.folded() for session in sessions]
    by_sae = ([block[session.config.hook] for session in sessions] for block in blocks)
    for session, sae, found in zip(sessions, saes, measure_together(saes, by_sae), strict=True):
        session.export(sae, found)
        shutil.rmtree(session.directory / "checkpoints", ignore_errors=True)


def _measuring(config: Config) -> loss_step.Config:
    return loss_step.Config(
        config.sae_id, model=config.model, device=config.device, trust_remote_code=config.trust_remote_code
    )


def _advance_together(sessions: list[Session]) -> dict[Session, Diverged]:
    """Take all steps that are left, the least advanced sessions first, so that all read the same buffer of rows."""
    failed: dict[Session, Diverged] = {}
    while going := [session for session in sessions if not session.is_done and session not in failed]:
        least = min(session.trainer.done for session in going)
        for session in going:
            if session.trainer.done > least:
                continue
            try:
                session.advance()
            except Diverged as error:
                failed[session] = error
                session.record.fail(str(error))
    return failed
