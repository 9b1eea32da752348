"""What all tests share: one compilation cache for the user, so that a second run compiles nothing."""

from ddsprl.compile_cache import enable_compilation_cache

enable_compilation_cache()
