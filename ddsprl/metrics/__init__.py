"""How results are judged: the field's published metrics, parameter error, and intervals over targets."""

from ddsprl.metrics.field import FieldMetrics, field_metrics, field_metrics_batch
from ddsprl.metrics.mss import mss
from ddsprl.metrics.parameter_error import ParameterError, parameter_error
from ddsprl.metrics.rms_cosine import rms_cosine
from ddsprl.metrics.sot import sot
from ddsprl.metrics.statistics import (
    Interval,
    excess_ratio,
    mean_interval,
    median_interval,
    median_ratio_interval,
    share_interval,
    win_rate_interval,
)
from ddsprl.metrics.wmfcc import dtw_cost, wmfcc

__all__ = [
    "FieldMetrics",
    "Interval",
    "ParameterError",
    "dtw_cost",
    "excess_ratio",
    "field_metrics",
    "field_metrics_batch",
    "mean_interval",
    "median_interval",
    "median_ratio_interval",
    "mss",
    "parameter_error",
    "rms_cosine",
    "share_interval",
    "sot",
    "win_rate_interval",
    "wmfcc",
]
