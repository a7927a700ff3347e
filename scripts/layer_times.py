"""What a film's time in the network goes to, by kind of layer, as OpenVINO counts it itself (docs/performance.md).

    python scripts/layer_times.py [MODEL]

In INT8 where the file has it, without a second reading; medians of 300 films, on a machine with nothing else to do.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict

import numpy as np

from osteon.lab.model_file import model_path
from osteon.network import engine, open_network, read_content, runtime
from osteon.precision import in_precision

FILMS, WARM_UP = 300, 20


def main(model: str | None = None) -> None:
    """Print the shares."""
    file = model_path(model)
    card, network = open_network(read_content(file, str(file)), str(file))
    precision = in_precision(network, card, "auto")
    request = engine().compile_model(network, "CPU", runtime() | {"PERF_COUNT": "YES"}).create_infer_request()
    film = np.random.default_rng(0).integers(0, 256, (1, card.frame.size, card.frame.size), np.uint8)
    times = defaultdict(list)
    for i in range(FILMS + WARM_UP):
        request.infer({0: film})
        for node in request.get_profiling_info() if i >= WARM_UP else ():
            times[node.node_name, node.node_type, node.exec_type].append(node.real_time.total_seconds() * 1e3)
    taken = {node: float(np.median(values)) for node, values in times.items()}
    kinds, counts, total = defaultdict[str, float](float), Counter[str](), sum(taken.values())
    for (name, kind, kernel), ms in taken.items():
        label = "guard" if name.startswith("guard/") else f"{kind} {kernel}"
        kinds[label] += ms
        counts[label] += ms > 0
    print(f"{card.reference}, {precision}: {total:.2f} ms")
    for label, ms in sorted(kinds.items(), key=lambda kind: -kind[1]):
        if ms >= 0.005 * total:
            print(f"{ms / total:6.1%}  {counts[label]:3}  {label}")
    print("longest:", ", ".join(f"{name} {ms / total:.1%}" for (name, *_), ms in sorted(taken.items(), key=lambda node: -node[1])[:5]))


if __name__ == "__main__":
    main(*sys.argv[1:])
