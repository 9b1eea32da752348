"""Where something was measured, and what numbers depend on besides the options."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from ddsprl.io import versions
from ddsprl.io.output import VERSIONED


def machine() -> dict[str, Any]:
    """The machine; the same in every session on it."""
    devices = jax.devices()
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "backend": jax.default_backend(),
        "devices": ", ".join(device.device_kind for device in devices),
        "driver": str(devices[0].client.platform_version).splitlines()[0],
    }


def place(source: str) -> dict[str, Any]:
    """What numbers that are continued must agree in: code, backend, versions of packages.

    Args:
        source: fingerprint of the code, see `ddsprl.io.sources`.
    """
    found = versions()
    used = {name: found[name] for name in VERSIONED}
    return {"backend": jax.default_backend(), "versions": used, "source": source}


def record(source: str) -> dict[str, Any]:
    """What a file of results says of its origin: `source`, `machine`, `versions`."""
    return {"source": source, "machine": machine(), "versions": versions()}


def record_text(results: Mapping[str, Any]) -> str:
    """Machine and versions of a file of results, in one sentence for a page."""
    rows = [results["machine"], results["versions"]]
    return "; ".join(", ".join(f"{key} {value}" for key, value in row.items()) for row in rows)


def _processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
