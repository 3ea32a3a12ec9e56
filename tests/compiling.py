"""How the tests compile: soon, where the default makes programs that run fast."""

from experiments.common.compiling import known

QUICK = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": "true",
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": "1",
}


def quick_flags() -> str:
    """Flags for XLA_FLAGS, of those above; XLA ends the process at one it lacks."""
    return " ".join(f"--{name}={QUICK[name]}" for name in known(QUICK))
