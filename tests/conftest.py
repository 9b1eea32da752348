"""What all tests share: one compilation cache for the user, so that a second run compiles nothing."""

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu

tune_cpu()
enable_compilation_cache()
