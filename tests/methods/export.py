"""Writes the models of tests/methods/exports: the methods' layers, as PyTorch's two exporters leave them.

Run once, by hand: `python tests/methods/export.py`. The files that are committed are by torch 2.7.1 with onnx 1.18.0,
onnxscript 0.3.2, onnx-ir 0.1.3 and protobuf 5; the tests need the files only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent / "exports"
WIDTH, HIDDEN, EXPERTS, TOKENS = 8, 12, 4, 8


class Compander(nn.Module):
    """A linear layer whose weight is `a * f(v / b)`, with a and b of its own."""

    def __init__(self, f: Callable[[Tensor], Tensor], a: float = 0.6, b: float = 0.7) -> None:
        super().__init__()
        self.f = f
        self.v = nn.Parameter(torch.randn(HIDDEN, WIDTH))
        self.bias = nn.Parameter(torch.randn(HIDDEN))
        self.a, self.b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(b))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.a * self.f(self.v / self.b), self.bias)


def arsinh(v: Tensor) -> Tensor:
    """Spelled out, as the TorchScript exporter has no Asinh."""
    return torch.log(v + torch.sqrt(v * v + 1))


class CompandedConv(nn.Module):
    """A convolution with a companded weight, then batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.v, self.a, self.b = nn.Parameter(torch.randn(6, 3, 3, 3)), 0.5, 1.3
        self.norm = nn.BatchNorm2d(6)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.conv2d(x, self.a * torch.atan(self.v / self.b)))


class Powered(nn.Module):
    """Powerpropagation: `v * |v|^(alpha - 1)`."""

    def __init__(self) -> None:
        super().__init__()
        self.v, self.alpha = nn.Parameter(torch.randn(HIDDEN, WIDTH)), 2.5

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.v * torch.pow(self.v.abs(), self.alpha - 1))


class Standardised(nn.Module):
    """A convolution whose filters have mean 0 and deviation 1."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(6, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        w = self.w - self.w.mean(dim=(1, 2, 3), keepdim=True)
        deviation = w.view(w.size(0), -1).std(dim=1).view(-1, 1, 1, 1) + 1e-5
        return F.conv2d(x, w / deviation.expand_as(w))


class Weighted(nn.Module):
    """An optimally weighted convolution: filters times the outer product of `[den, 1, den]` with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.den = nn.Parameter(torch.randn(6, 3, 3, 3)), nn.Parameter(torch.tensor([0.7]))

    def forward(self, x: Tensor) -> Tensor:
        alpha = torch.cat([self.den, torch.ones(1), self.den.flip(0)])
        return F.conv2d(x, self.w * torch.outer(alpha, alpha))


class Dora(nn.Module):
    """DoRA on the weight's side: `m * V / ||V||` with `V = W0 + s * B A`."""

    def __init__(self) -> None:
        super().__init__()
        self.w0 = nn.Parameter(torch.randn(HIDDEN, WIDTH))
        self.a, self.b = nn.Parameter(torch.randn(2, WIDTH)), nn.Parameter(torch.randn(HIDDEN, 2))
        self.m = nn.Parameter(torch.rand(HIDDEN) + 1)

    def forward(self, x: Tensor) -> Tensor:
        v = self.w0 + 2.0 * (self.b @ self.a)
        return F.linear(x, (self.m / v.norm(dim=1)).unsqueeze(1) * v)


class Adapted(nn.Module):
    """LoRA as it is left when nobody merged it: `x W0 + s (x A) B`."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(WIDTH, HIDDEN)
        self.a, self.b = nn.Linear(WIDTH, 2, bias=False), nn.Linear(2, HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + 2.0 * self.b(self.a(x))


class Experts(nn.Module):
    """N feed-forward networks as stacked weights, `spread` apart from their mean."""

    def __init__(self, spread: float = 0.02) -> None:
        super().__init__()

        def stack(*shape: int) -> nn.Parameter:
            scale = shape[0] ** -0.5
            mean, each = torch.randn(1, *shape) * scale, torch.randn(EXPERTS, *shape) * scale
            return nn.Parameter(mean + spread * (each - each.mean(0)))

        self.w1, self.b1 = stack(WIDTH, HIDDEN), stack(1, HIDDEN)
        self.w2, self.b2 = stack(HIDDEN, WIDTH), stack(1, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(F.gelu(torch.bmm(x, self.w1) + self.b1), self.w2) + self.b2


class PartitionedBatch(nn.Module):
    """Random uniform partition over all tokens of the batch; back by the inverse permutation."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = Experts()

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        permutation = torch.argsort(torch.rand(tokens.shape[0]))
        y = self.experts(tokens[permutation].view(EXPERTS, -1, WIDTH)).reshape(-1, WIDTH)
        return y[torch.argsort(permutation)].view(x.shape) + x


class PartitionedSample(nn.Module):
    """Random uniform partition within every sample; back by scattering."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = Experts()

    def forward(self, x: Tensor) -> Tensor:
        permutation = torch.argsort(torch.rand(x.shape[0], x.shape[1]), dim=1)
        index = permutation.unsqueeze(-1).expand(-1, -1, WIDTH)
        parts = torch.gather(x, 1, index).view(x.shape[0], EXPERTS, -1, WIDTH)
        h = F.gelu(torch.einsum("bntd,ndh->bnth", parts, self.experts.w1) + self.experts.b1)
        y = torch.einsum("bnth,nhd->bntd", h, self.experts.w2) + self.experts.b2
        return torch.zeros_like(x).scatter_add(1, index, y.reshape(x.shape))


class PartitionedSlices(nn.Module):
    """Random uniform partition with one module per expert on chunks of the permuted tokens."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))
        self.experts = nn.ModuleList()
        for _ in range(EXPERTS):
            expert = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))
            for ours, mean in zip(expert.parameters(), first.parameters(), strict=True):
                ours.data = mean.data * (1 + 0.02 * torch.randn_like(mean))
            self.experts.append(expert)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        permutation = torch.rand(tokens.shape[0]).argsort()
        parts = tokens[permutation].chunk(EXPERTS, dim=0)
        y = torch.cat([expert(part) for expert, part in zip(self.experts, parts, strict=True)], dim=0)
        return y[permutation.argsort()].view(x.shape)


class Averaged(nn.Module):
    """Experts that are averaged while the model runs."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = Experts()

    def forward(self, x: Tensor) -> Tensor:
        e = self.experts
        return F.gelu(x @ e.w1.mean(0) + e.b1.mean(0)) @ e.w2.mean(0) + e.b2.mean(0)


class RoutedDense(nn.Module):
    """Every expert on every token, weighed by the softmax of a router."""

    def __init__(self) -> None:
        super().__init__()
        self.experts, self.router = Experts(0.3), nn.Linear(WIDTH, EXPERTS)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        gates = torch.softmax(self.router(tokens), dim=-1)
        y = self.experts(tokens.unsqueeze(0).expand(EXPERTS, -1, -1))
        return torch.einsum("te,etd->td", gates, y).view(x.shape)


class RoutedMask(nn.Module):
    """The two best experts of every token, by a mask over all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.experts, self.router = Experts(0.3), nn.Linear(WIDTH, EXPERTS)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        best, chosen = torch.topk(torch.softmax(self.router(tokens), dim=-1), 2, dim=-1)
        best = best / best.sum(-1, keepdim=True)
        gates = (F.one_hot(chosen, EXPERTS).to(best.dtype) * best.unsqueeze(-1)).sum(1)
        y = self.experts(tokens.unsqueeze(0).expand(EXPERTS, -1, -1))
        return (gates.t().unsqueeze(-1) * y).sum(0).view(x.shape)


class RoutedLoop(nn.Module):
    """The two best experts of every token, expert after expert on the tokens that chose it (as Mixtral does)."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = PartitionedSlices().experts

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        best, chosen = torch.topk(torch.softmax(self.router(tokens), dim=-1), 2, dim=-1)
        best = best / best.sum(-1, keepdim=True)
        y = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            at, rank = torch.where(chosen == number)
            y = y.index_add(0, at, expert(tokens[at]) * best[at, rank].unsqueeze(-1))
        return y.view(x.shape)


def models() -> dict[str, tuple[nn.Module, Tensor]]:
    """Every model and an input for it."""
    tokens, image = torch.randn(2, TOKENS, WIDTH), torch.randn(1, 3, 6, 6)
    norm = nn.utils.parametrizations.weight_norm
    return {
        "compander_atan": (nn.Sequential(Compander(torch.atan), nn.ReLU()), tokens),
        "compander_arsinh": (Compander(arsinh), tokens),
        "compander_erf": (Compander(torch.erf), tokens),
        "compander_conv": (CompandedConv(), image),
        "weight_norm": (norm(nn.Linear(WIDTH, HIDDEN)), tokens),
        "powerpropagation": (Powered(), tokens),
        "weight_standardisation": (Standardised(), image),
        "weighted_convolution": (Weighted(), image),
        "dora": (Dora(), tokens),
        "lora_adapter": (Adapted(), tokens),
        "experts_averaged": (Averaged(), tokens),
        "partition_batch": (PartitionedBatch(), tokens),
        "partition_sample": (PartitionedSample(), tokens),
        "partition_slices": (PartitionedSlices(), tokens),
        "routed_dense": (RoutedDense(), tokens),
        "routed_mask": (RoutedMask(), tokens),
        "routed_loop": (RoutedLoop(), tokens),
    }


def export(name: str, model: nn.Module, x: Tensor) -> None:
    """Writes one model as each exporter does."""
    names = {"input_names": ["x"], "output_names": ["y"]}
    ways = {
        "torchscript": {"dynamo": False, "opset_version": 17},
        "unfolded": {"dynamo": False, "opset_version": 17, "do_constant_folding": False},
        "dynamo": {"dynamo": True, "external_data": False, "verbose": False},
        "unoptimised": {"dynamo": True, "external_data": False, "verbose": False, "optimize": False},
    }
    for way, flags in ways.items():
        file = HERE / f"{name}.{way}.onnx"
        try:
            torch.onnx.export(model, (x,), str(file), **names, **flags)
        except Exception as error:  # The exporters fail in many ways; which models they cannot write is told.
            print(f"{file.name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            file.unlink(missing_ok=True)
            continue
        written = onnx.load(file)
        del written.metadata_props[:]
        for node in written.graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        for value in [*written.graph.value_info, *written.graph.initializer, *written.graph.input, *written.graph.output]:
            del value.metadata_props[:]
        onnx.save(written, file)


def main() -> None:
    """Writes all of them, from one seed."""
    warnings.filterwarnings("ignore")
    torch.manual_seed(4)
    HERE.mkdir(exist_ok=True)
    for name, (model, x) in models().items():
        export(name, model.eval(), x)


if __name__ == "__main__":
    main()
