"""What is served of a bundle, once an engine runs its network.

Knows heads of bundles and engines' doors; must not know how either came to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.registry import ServedModel

if TYPE_CHECKING:
    from model.bundle_head import BundleHead
    from service.engine.handle import EngineHandle


def served_model(
    head: BundleHead,
    engine: EngineHandle,
    dtype: str,
    device: str,
    *,
    created: int = 0,
    load_seconds: float = 0.0,
    copying: bool = True,
) -> ServedModel:
    """The bundle behind this engine, which computes in `dtype` on `device`; with `copying` it is kept from
    what it is not to touch."""
    return ServedModel(
        name=head.info.name,
        version=head.info.version,
        directions=head.info.directions,
        dtype=dtype,
        device=device,
        created=created,
        load_seconds=load_seconds,
        max_source_length=head.config.max_source_length,
        alignment_layer=head.config.alignment_layer,
        defaults=head.info.decoding,
        tokenizer=head.tokenizer,
        engine=engine,
        signals=head.info.signals,
        copying=copying,
        manifest_digest=head.manifest_digest,
    )
