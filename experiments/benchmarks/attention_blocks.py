"""Time of pruned attention maps against dense eager attention: two layers of BERT-base, 512 and 1024 tokens, 1 thread.

    python -m experiments.benchmarks.attention_blocks [--rounds 5]

Processor time of a forward pass without gradients, dense and pruned in turn, minimum of each; ratios above 1 are gains.
"""

from __future__ import annotations

import argparse

from .measured import one_thread
from .pruning_cost import timed

LENGTHS = (512, 1024)
SPARSITIES = (0.5, 0.75, 0.9)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="pruned attention maps")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    one_thread(__spec__.name)
    import torch
    from transformers import BertConfig, BertModel

    from sparseopt.pruning import AttentionBlocks, prune_attention

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = BertConfig(num_hidden_layers=2, max_position_embeddings=max(LENGTHS))
    model = BertModel._from_config(config, attn_implementation="eager").eval()
    for length in LENGTHS:
        ids = torch.randint(1000, (1, length))
        for importance in ("attention", "pooled"):
            for sparsity in SPARSITIES:
                times: dict[bool, list[float]] = {False: [], True: []}
                for _ in range(given.rounds):
                    for pruned in (False, True):
                        prune_attention(model, AttentionBlocks(32, sparsity, importance) if pruned else None)
                        with torch.no_grad():
                            times[pruned].append(timed(lambda ids=ids: model(ids)))
                ratio = min(times[False]) / min(times[True])
                print(
                    f"{length} tokens, {importance}, {sparsity:g}: {1e3 * min(times[False]):.0f} ms dense, {ratio:.2f}x"
                )


if __name__ == "__main__":
    main()
