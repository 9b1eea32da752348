"""The two knobs of the smallest instrument."""

from synth_jax.params import ParamSpec, Table

TABLE: Table = (
    ParamSpec(
        name="frequency",
        low=20.0,
        high=8_000.0,
        default=440.0,
        unit="Hz",
        scale="log",
        module="OSC",
        group="Sine",
    ),
    ParamSpec(name="level", low=0.0, high=1.0, default=0.5, module="OSC", group="Sine", help="gain"),
)
