"""What the networks of ``nets.py`` are fed: nothing here needs torch."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Workload:
    """A network by the name of its factory, and its random samples: of ``shape``, or tokens out of ``words``."""

    title: str
    factory: str
    shape: tuple[int, ...]
    samples: int
    batch: int
    words: int | None = None

    def fed(self, samples: int) -> "Workload":
        """The same with other samples."""
        return replace(self, samples=samples, batch=min(self.batch, samples))

    def described(self) -> str:
        """In words, for a heading."""
        size = "x".join(map(str, self.shape))
        unit = f"of {size}" if self.words is None else f"of {size} tokens"
        return f"{self.title}, {self.samples} samples {unit} in batches of {self.batch}"


WORKLOADS = {
    "lstm": Workload("LSTM, 2 layers of 512", "lstm", (64, 128), samples=256, batch=64),
    "resnet18": Workload("ResNet-18", "resnet18", (3, 224, 224), samples=16, batch=8),
    "resnet50": Workload("ResNet-50", "resnet50", (3, 224, 224), samples=16, batch=8),
    "vit": Workload("ViT-S/16", "vit_s", (3, 224, 224), samples=16, batch=8),
    "gpt2": Workload("GPT-2 small", "gpt2_small", (128,), samples=8, batch=4, words=50257),
}

SMALL = {"small": Workload("two convolutions", "small_cnn", (3, 16, 16), samples=32, batch=16)}
"""For trying out the benchmarks themselves."""
