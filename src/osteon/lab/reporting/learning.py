"""The sections on the training and on the network that was trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from osteon.lab.progress import Epoch
from osteon.lab.reporting.curves import draw_curves
from osteon.lab.reporting.diagram import described, draw_network
from osteon.lab.reporting.document import Block, Gap, Picture, Section, Table, Text
from osteon.lab.reporting.material import Material
from osteon.lab.training.networks.summary import Summary
from osteon.lab.training.recipe import Recipe, averaged_with
from osteon.lab.training.run import kept


def training_section(m: Material, figures: Path) -> Section:
    """Return the section with the training's curves, settings and departures, the curves drawn into a folder."""
    blocks: list[Block] = [*_course(m, figures), _settings(m)]
    if m.recipe.departures:
        rows = [(f"{number}", departure) for number, departure in enumerate(m.recipe.departures, start=1)]
        title = f"Departures from what was published as {m.recipe.name!r}"
        blocks.append(Table(title, ("", "departure"), rows, m.origins.training, words=(1,)))
    if m.record.refused:
        many = f"{len(m.record.refused):,} films could not be prepared and were left out; recipe.json says which and why."
        blocks.append(Text(many, m.origins.training, warns=True))
    return Section("training", "Training", blocks)


def network_section(m: Material, figures: Path) -> Section:
    """Return the section with the network's picture and table, from its own modules."""
    file = draw_network(m.network, figures / "network.png")
    caption = (
        "From the film at the top to the logit at the bottom, one row a stage. A square's area goes with the side of its maps; a bar's "
        "length with their number. Below: one block from inside."
    )
    picture = Picture(file, "The network", caption, described(m.network), m.origins.training, wide=True)
    members = _members(m)
    return Section("network", "Network", [*members, picture, _stages(m)])


def loss_in_words(recipe: Recipe) -> str:
    """Return what a step minimises."""
    kinds = {"weighted": "cross-entropy weighted by study type and label", "plain": "cross-entropy of the film's label"}
    boxes = f"; plus {recipe.box_loss:g} x cross-entropy of the heat map's cells against the finding boxes" if recipe.box_loss else ""
    return kinds[recipe.loss] + boxes


def augmentation_in_words(recipe: Recipe) -> str:
    """Return what is drawn at random for each film of each batch."""
    a = recipe.augmentation
    words = {
        f"rotation up to {a.rotation:g} degrees": a.rotation,
        f"size within {a.scale:.0%}": a.scale,
        f"shift up to {a.shift:.0%}": a.shift,
        f"mirrored with probability {a.flip:g}": a.flip,
        f"upside down with probability {a.flip_vertical:g}": a.flip_vertical,
        f"contrast within {a.contrast:.0%}": a.contrast,
        f"brightness within {a.brightness:.0%}": a.brightness,
        f"gamma within exp(+- {a.gamma:g})": a.gamma,
        f"a rectangle blanked with probability {a.erase:g}": a.erase,
        f"blurred or sharpened with probability {a.blur:g}": a.blur,
        f"local contrast raised with probability {a.local:g}": a.local,
        f"grainy with probability {a.grain:g}": a.grain,
        f"compressed as JPEG with probability {a.compress:g}": a.compress,
        f"turned by 90 degrees with probability {a.quarter:g}": a.quarter,
        f"the border covered with probability {a.collimate:g}": a.collimate,
        f"mixed with another film's side with probability {a.cut:g}": a.cut,
        f"at first seen through a window of {recipe.window:.0%} of the side": recipe.window,
    }
    return ", ".join(word for word, used in words.items() if used) or "none"


def optimiser_in_words(recipe: Recipe) -> str:
    """Return how the weights are moved."""
    rates = f"learning rate {recipe.learning_rate:g}"
    if recipe.head_learning_rate != recipe.learning_rate:
        rates += f", of the head {recipe.head_learning_rate:g}"
    schedule = {"plateau": "divided by ten where the selection loss does not fall", "cosine": "cosine"}[recipe.schedule]
    decay = f", weight decay {recipe.weight_decay:g}" if recipe.weight_decay else ""
    average = f"; a moving average of the weights ({recipe.ema:g}) is kept" if recipe.ema else ""
    others = len(averaged_with(recipe))
    joined = f"; what is kept is the mean with {others} other{'s' if others > 1 else ''}" if others else ""
    return f"{recipe.optimizer}, {rates}, {schedule}{decay}, batches of {recipe.batch}{average}{joined}"


def selection_in_words(m: Material) -> str:
    """Return how the kept epochs were chosen."""
    if not m.record.plan.select:
        return f"the last of {len(m.history)} epochs; no films were set aside to choose on"
    best = {"loss": "lowest loss", "auroc": "highest AUROC"}[m.recipe.select_by]
    return f"the {best} on split {m.record.plan.select!r} among {len(m.history)} epochs; up to {m.recipe.keep} are kept"


def _course(m: Material, figures: Path) -> Iterator[Block]:
    if not m.history:
        yield Gap(f"No epoch has ended yet. Go on with: osteon train --resume -o {m.request.run}")
        return
    best, *_ = there = kept(m.history, m.record)
    hours = sum(p.seconds for p in m.history) / 3600
    words = (
        f"{len(m.history)} epochs in {hours:.2f} hours on {m.record.device}, {m.record.processes} process(es) of {m.record.threads} "
        f"thread(s). {_chosen(m, best)}"
    )
    yield Text(words, m.origins.training)
    alt = f"Loss, learning rate{' and AUROC on the selection split' if m.record.plan.select else ''} over {len(m.history)} epochs"
    caption = "The training loss is of augmented films, with boxes where the recipe uses them: compare its course, not its height."
    epochs = [p.epoch for p in there]
    yield Picture(draw_curves(m.history, epochs, figures / "training.png"), "Training curves", caption, alt, m.origins.training, wide=True)


def _chosen(m: Material, best: Epoch) -> str:
    if best.select_loss is None:
        return f"The last epoch, {best.epoch + 1}, is kept: no films were set aside to choose on."
    area = f"AUROC {best.select_auroc:.3f}" if best.select_auroc is not None else "no AUROC (one label only)"
    return f"Best is epoch {best.epoch + 1}: {area} and loss {best.select_loss:.3f} on split {m.record.plan.select!r}."


def _settings(m: Material) -> Table:
    recipe, plan = m.recipe, m.record.plan
    frozen = f"; the stem and the first {recipe.freeze} blocks are frozen" if recipe.freeze else ""
    rows = [
        ("recipe", recipe.name),
        (
            "network",
            f"{recipe.network}, head {recipe.head}, evidence at stride {recipe.evidence_stride}"
            if recipe.head == "pyramid"
            else recipe.network,
        ),
        ("first weights", m.record.weights + frozen),
        ("trained on", f"split {plan.train!r}; an abnormal film is shown {recipe.abnormal_repeat} times an epoch"),
        ("loss", loss_in_words(recipe)),
        ("augmentation", augmentation_in_words(recipe)),
        ("optimiser", optimiser_in_words(recipe)),
        ("chosen by", selection_in_words(m)),
        ("dropout", f"{recipe.dropout:g}"),
        ("seed", f"{recipe.seed}"),
        ("precision", recipe.precision),
    ]
    return Table("Settings", ("setting", "value"), rows, m.origins.training, "All of them stand in recipe.json.", (1,))


def _members(m: Material) -> Iterator[Text]:
    if m.card.network != m.recipe.network:
        yield Text(f"The model file is an {m.card.network}; the picture shows one of its networks, the one of this run.", m.origins.model)


def _stages(m: Material) -> Table:
    network, rows = m.network, []
    for s in network.stages:
        shape = f"{s.outputs.maps:,} x {s.outputs.height} x {s.outputs.width}"
        kept = "" if not s.frozen else "all" if s.frozen == s.layers else f"{s.frozen} of {s.layers}"
        rows.append((s.name, s.does, f"{s.layers}", shape, f"{s.parameters:,}", f"{s.flops / 1e6:,.1f}", kept))
    rows.append(("all", "", "", "", f"{network.parameters:,}", f"{network.flops / 1e6:,.1f}", ""))
    header = ("stage", "what it does", "layers", "maps x height x width", "weights", "MFLOP a film", "frozen")
    note = "Work counts convolutions and matrices, two operations a multiplication with addition."
    return Table("Stages", header, rows, m.origins.training, note, (1,))


def network_in_words(network: Summary) -> str:
    """Return the network's size and shape in a sentence."""
    last = network.stages[-2].outputs
    return (
        f"{network.network}, {network.parameters:,} weights, {network.flops / 1e9:.2f} GFLOP a film. In: one grey film of {network.size} x "
        f"{network.size} pixels. Out: a logit, and the {last.height} x {last.width} evidence that it is pooled from. Every stage with its "
        "connections stands in the section on the network."
    )
