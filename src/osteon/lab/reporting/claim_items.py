"""The 44 items of CLAIM 2024, shortly and in our words, and what an author has to say to each that no record knows.

Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update. Radiology: Artificial Intelligence 6(4),
e240300 (2024), doi 10.1148/ryai.240300.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = (
    "Checklist for Artificial Intelligence in Medical Imaging (CLAIM), 2024 update: Tejani et al., Radiology: Artificial Intelligence "
    "6(4), e240300 (2024), doi 10.1148/ryai.240300. The items are given shortly and in other words: read the original before submitting."
)


@dataclass(frozen=True, slots=True)
class Item:
    """An item: its section and topic, what it asks, and what the author has to add."""

    section: str
    asks: str
    left: str


_TITLE, _INTRODUCTION, _DISCUSSION, _OTHER = "Title and abstract", "Introduction", "Discussion", "Other information"
_DESIGN, _DATA, _STANDARD = "Methods: study design", "Methods: data", "Methods: reference standard"
_PARTS, _TEST, _MODEL = "Methods: data partitions", "Methods: testing data", "Methods: model"
_TRAINING, _EVALUATION = "Methods: training", "Methods: evaluation"
_RESULTS, _PERFORMANCE = "Results: data", "Results: model performance"

ITEMS: dict[int, Item] = {
    1: Item(_TITLE, "The title says that this is a study of AI, and of which kind", "a title that says so"),
    2: Item(_TITLE, "An abstract with design, methods, results and conclusions", "the abstract"),
    3: Item(
        _INTRODUCTION,
        "Scientific and clinical background; intended use and role of the AI",
        "background, and where in care it is to be used",
    ),
    4: Item(_INTRODUCTION, "Aims, objectives and hypotheses", "what was to be shown, stated before the results were seen"),
    5: Item(_DESIGN, "Prospective or retrospective", "which of both, and when the films were taken"),
    6: Item(_DESIGN, "The study's goal", "model creation, exploration, feasibility, non-inferiority, ..."),
    7: Item(_DATA, "Sources of the data", "sites and dates of the films, approval by an ethics board"),
    8: Item(_DATA, "Inclusion and exclusion criteria", "whom the data set took in: symptoms, setting, ages, exclusions"),
    9: Item(_DATA, "Preprocessing", "what was done to the films before they came here"),
    10: Item(_DATA, "Selection of subsets of the data", "why parts of the data were taken or left, if any were"),
    11: Item(_DATA, "De-identification", "how films and tables were de-identified"),
    12: Item(_DATA, "Missing data", "what is missing beyond films and labels, and what was done about it"),
    13: Item(_DATA, "Image acquisition", "machines, makers, projections, exposure"),
    14: Item(_STANDARD, "How the reference standard was obtained", "who or what gave the labels, and by which definition of abnormal"),
    15: Item(_STANDARD, "Why this reference standard", "the reason, and its known errors"),
    16: Item(_STANDARD, "Who annotated", "number, training and experience of the readers, their instructions and tools"),
    17: Item(_STANDARD, "Annotation of the test set", "whether its labels come from other or more readers than the training's"),
    18: Item(_STANDARD, "Variability within and between readers", "agreement of the readers, and how disagreement was settled"),
    19: Item(_PARTS, "How data were assigned to partitions", "why these shares"),
    20: Item(_PARTS, "Level at which the partitions are disjoint", "why no patient can stand in two of them"),
    21: Item(_TEST, "Intended sample size", "how the number of test studies was arrived at"),
    22: Item(_MODEL, "The model in detail: inputs, outputs, layers, connections", "nothing, if the network is used as it is"),
    23: Item(_MODEL, "Software: libraries, frameworks, packages", "further software that was used"),
    24: Item(_MODEL, "How the model's parameters were initialised", "on which data the first weights were trained, and how"),
    25: Item(_TRAINING, "How the model was trained", "trials before this one, and their number"),
    26: Item(_TRAINING, "How the final model was chosen", "by whom and when this run was chosen among others"),
    27: Item(_TRAINING, "Ensembling", "why these members"),
    28: Item(_EVALUATION, "Metrics of performance", "which of them is the primary one, and why"),
    29: Item(_EVALUATION, "Statistical measures of significance and uncertainty", "tests of hypotheses, if there are any"),
    30: Item(_EVALUATION, "Robustness or sensitivity analysis", "other machines, noise, other thresholds"),
    31: Item(_EVALUATION, "Explainability, and how it was validated", "whether readers were helped by it"),
    32: Item(_EVALUATION, "Evaluation on internal data", "results on data of the same source"),
    33: Item(_EVALUATION, "Testing on external data", "results on data of another source, or why there are none"),
    34: Item(_EVALUATION, "Registration of the trial", "registry and number, or that it is no trial"),
    35: Item(_RESULTS, "Patients and examinations included and excluded", "a flow chart from all patients seen to those measured"),
    36: Item(_RESULTS, "Demographic and clinical characteristics by partition", "age, sex, ethnicity, severity"),
    37: Item(_PERFORMANCE, "Performance and its statistical uncertainty", "what the results mean for the aim"),
    38: Item(_PERFORMANCE, "Diagnostic performance and its precision", "the same at the prevalence of the intended place"),
    39: Item(_PERFORMANCE, "Analysis of wrong answers", "a reader's judgement of the failures shown"),
    40: Item(_DISCUSSION, "Limitations", "limitations of the study: bias, generalisation, labels"),
    41: Item(_DISCUSSION, "Implications for practice, intended use and role", "what should follow from it in care"),
    42: Item(_OTHER, "Where the full protocol or further technical details are", "the protocol, and where it can be read"),
    43: Item(_OTHER, "Availability of software, model and data", "addresses, and on which terms"),
    44: Item(_OTHER, "Funding and the role of the funders", "funding, and conflicts of interest"),
}
