"""From a bundle's folder and a plan to a network that decodes: the native one where it can be had.

Knows: bundles, devices, precisions, the kernels' library. Must not know: the engine, pipes, requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint import Bundle, load_bundle
from model.cuda.network import CudaNetwork
from model.devices import choose_device, set_up
from model.int8 import int8_copy
from model.manifest import BundleError
from model.native.binding import Library, NativeError
from model.native.library import BuildSettings, NativeUnavailable, open_library
from model.native.network import NativeNetwork
from model.network import EagerNetwork, Network
from service.engine.errors import is_about_memory
from service.engine.kernel_build import NICENESS, build_in_background
from service.engine.network_plan import NetworkPlan, PlanError
from service.engine.weight_memory import check_memory, native_bytes_per_position

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedNetwork:
    """A network that decodes now. `make_faster` makes the one to change over to; it takes its time, and
    raises `NativeUnavailable`. `bytes_per_position`: the most that either takes."""

    network: Network
    manifest_digest: str
    bytes_per_position: int
    make_faster: Callable[[], Network] | None = None


def start_network(
    folder: Path, plan: NetworkPlan, num_threads: int, cache_bytes: int, max_rows: int
) -> StartedNetwork:
    """Raises `BundleError`, `DeviceError`, and `PlanError` for what cannot be had.

    `cache_bytes` and `max_rows` bound what keys and values will take besides.
    """
    try:
        return _start(folder, plan, num_threads, cache_bytes, max_rows)
    except (MemoryError, RuntimeError) as error:
        if not is_about_memory(error):
            raise
        told = " ".join(str(error).split()) or "out of memory"
        way_out = "give it more memory, or choose --precision int8 where it is not"
        raise PlanError(f"{folder}: could not be loaded: {told}; {way_out}") from error


def _start(
    folder: Path, plan: NetworkPlan, num_threads: int, cache_bytes: int, max_rows: int
) -> StartedNetwork:
    device = choose_device(plan.device)
    plan.check(device.type)
    set_up(device)
    if device.type != "cpu" and plan.kernels == "auto":
        return _ahead(folder, plan, device, max_rows)
    if device.type == "cpu":
        check_memory(folder, plan.precision, cache_bytes, max_rows)
    library = _library_at_once(plan) if device.type == "cpu" else None
    if library is not None:
        try:
            return _native(folder, plan, num_threads, library)
        except NativeUnavailable as error:
            _refuse_where_it_must_be(plan, error)
            logger.warning("the native kernels do not run this model; it runs without them: %s", error)
            return _eager(folder, plan, num_threads, device)
    started = _eager(folder, plan, num_threads, device)
    if plan.kernels == "eager" or device.type != "cpu":
        return started
    return _with_prospects(started, folder, plan, num_threads)


def _library_at_once(plan: NetworkPlan) -> Library | None:
    """The library, as far as the plan wants one that is there; None: to begin without."""
    if plan.kernels == "eager":
        return None
    try:
        return _open(plan, niceness=0 if plan.kernels == "native" else None)
    except NativeUnavailable as error:
        _refuse_where_it_must_be(plan, error)
        log = logger.info if error.is_missing else logger.warning
        log("beginning without the native kernels, which are built meanwhile: %s", error)
        return None


def _refuse_where_it_must_be(plan: NetworkPlan, error: NativeUnavailable) -> None:
    if plan.kernels == "native":
        raise PlanError(f"kernels must be auto or eager here, got 'native': {error}") from error


def _open(plan: NetworkPlan, *, niceness: int | None) -> Library:
    """`niceness` of having it built where it is not in the cache; None: it has to be. Raises
    `NativeUnavailable`."""
    settings = BuildSettings(cache_dir=plan.cache_dir, compiler=plan.compiler)
    try:
        opened = open_library(settings, build=False)
    except NativeUnavailable:
        if niceness is None:
            raise
        # Not in this process, which may be killed: a compiler would be left behind.
        build_in_background(plan.cache_dir, plan.compiler, niceness)
        opened = open_library(settings, build=False)
    try:
        return Library(opened.functions)
    except NativeError as error:
        raise NativeUnavailable(str(error)) from error


def _native(folder: Path, plan: NetworkPlan, num_threads: int, library: Library) -> StartedNetwork:
    """Raises `BundleError`, `NativeUnavailable`."""
    # Mapped: every weight is read once, on its way into the library's memory.
    bundle = load_bundle(folder, dtype=None)
    try:
        network = NativeNetwork.from_model(bundle.model, plan.precision, num_threads, library)
    except (NativeError, ValueError) as error:
        raise NativeUnavailable(str(error)) from error
    told = {"kernels": library.level, "precision": plan.precision, "threads": num_threads}
    logger.info("native kernels", extra={**told, "path": network.path, "device": "cpu"})
    return StartedNetwork(
        network=network,
        manifest_digest=bundle.manifest_digest,
        # The same whether it is there at once or is changed over to.
        bytes_per_position=max(network.bytes_per_position, native_bytes_per_position(network.config)),
    )


def _eager(folder: Path, plan: NetworkPlan, num_threads: int, device: torch.device) -> StartedNetwork:
    dtype = torch.float32 if plan.precision == "int8" else getattr(torch, plan.precision)
    bundle = load_bundle(folder, device=device, dtype=dtype)
    network = _int8(bundle) if plan.precision == "int8" else EagerNetwork(bundle.model)
    told = {"precision": plan.precision, "threads": num_threads, "path": network.path}
    logger.info("no native kernels", extra={**told, "device": str(device)})
    return StartedNetwork(
        network=network,
        manifest_digest=bundle.manifest_digest,
        bytes_per_position=network.bytes_per_position,
    )


def _ahead(folder: Path, plan: NetworkPlan, device: torch.device, max_rows: int) -> StartedNetwork:
    """Steps of the bundle's own kind of search are captured here, others when they are first asked for.

    Raises `BundleError`, `DeviceError`.
    """
    bundle = load_bundle(folder, dtype=None)  # the network makes a copy, which is all that the GPU holds
    dtype = getattr(torch, plan.precision)
    network = CudaNetwork(bundle.model, device=device, dtype=dtype, max_rows=max_rows)
    num_graphs = network.prepare(sorted({1, bundle.info.decoding.rows}))
    logger.info("graphs captured", extra={"graphs": num_graphs, "seconds": round(network.capture_seconds, 2)})
    return StartedNetwork(
        network=network,
        manifest_digest=bundle.manifest_digest,
        bytes_per_position=network.bytes_per_position,
    )


def _int8(bundle: Bundle) -> EagerNetwork:
    try:
        return EagerNetwork(int8_copy(bundle.model), "int8")
    except (RuntimeError, AttributeError) as error:  # a build of torch without the integer product
        if is_about_memory(error):
            raise
        reason = f"this build of torch has no integer product ({error})"
        raise PlanError(f"precision must be float32 or bfloat16 here, got 'int8': {reason}") from error


def _with_prospects(
    started: StartedNetwork, folder: Path, plan: NetworkPlan, num_threads: int
) -> StartedNetwork:
    def make() -> Network:
        build_in_background(plan.cache_dir, plan.compiler)
        # Another process may be putting one of its own there in this moment: then it is waited for.
        library = _open(plan, niceness=NICENESS)
        try:
            faster = _native(folder, plan, num_threads, library)
        except BundleError as error:  # is being replaced, or gone; what runs needs it no more
            raise NativeUnavailable(str(error)) from error
        if faster.manifest_digest != started.manifest_digest:
            raise NativeUnavailable(f"{folder}: was changed after it had been loaded")
        return faster.network

    most = max(started.bytes_per_position, native_bytes_per_position(started.network.config))
    return StartedNetwork(
        network=started.network,
        manifest_digest=started.manifest_digest,
        bytes_per_position=most,
        make_faster=make,
    )
