"""The settings offered in the recipe's details: groups of fields, each with one sentence for beginners."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from PySide6.QtCore import QCoreApplication, QLocale

from vdsr_trainer.config import TAKE_RELATIVE_RATES, TrainConfig

translate = QCoreApplication.translate


class FieldKind(StrEnum):
    """How a value is written."""

    WHOLE = "whole"
    NUMBER = "number"
    PERCENT = "percent"
    SCALES = "scales"
    CHOICE = "choice"
    YES_NO = "whether"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One setting.

    Attributes:
        key: name of the field of TrainConfig.
        label: displayed name.
        tip: what it does, in one sentence.
        kind: how it is written.
        unit: text after the control.
        choices: values and their texts, for CHOICE and YES_NO; those of YES_NO are "yes" and "no".
    """

    key: str
    label: str
    tip: str
    kind: FieldKind = FieldKind.WHOLE
    unit: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


def field_groups() -> dict[str, tuple[FieldSpec, ...]]:
    """All fields except those of the duration, by group title."""
    return {
        translate("RecipeFields", "What it practises on"): _practice(),
        translate("RecipeFields", "Network"): _network(),
        translate("RecipeFields", "Learning"): _learning(),
        translate("RecipeFields", "This computer"): _computer(),
    }


def duration_fields() -> tuple[FieldSpec, ...]:
    """Fields of the duration, of which only one applies at a time."""
    return (
        FieldSpec(
            "steps",
            translate("RecipeFields", "Steps"),
            translate("RecipeFields", "How often the network is corrected; more takes longer and helps less."),
        ),
        FieldSpec(
            "epochs",
            translate("RecipeFields", "Passes"),
            translate("RecipeFields", "How often every part of every picture is seen."),
        ),
    )


def to_text(spec: FieldSpec, config: TrainConfig) -> str:
    """The value as the field shows it."""
    value = getattr(config, spec.key)
    match spec.kind:
        case FieldKind.PERCENT:
            return f"{100 * value:g}"
        case FieldKind.SCALES:
            return ", ".join(f"{scale:g}" for scale in value)
        case FieldKind.NUMBER:
            return f"{value:g}"
        case FieldKind.YES_NO:
            return "yes" if value else "no"
        case _:
            return str(value)


def from_text(spec: FieldSpec, text: str) -> object:
    """The value that a text stands for.

    Raises:
        ValueError: it stands for none; the message can be shown to the user.
    """
    text = text.strip()
    try:
        match spec.kind:
            case FieldKind.PERCENT:
                return round(_number(text) / 100, 6)
            case FieldKind.SCALES:
                return tuple(_number(part) for part in re.split(r"[,;\s]+", text) if part)
            case FieldKind.NUMBER:
                return _number(text)
            case FieldKind.WHOLE:
                return int("".join(text.split()))
            case FieldKind.YES_NO:
                return text == "yes"
            case _:
                return text
    except ValueError:
        words = {
            FieldKind.WHOLE: translate("RecipeFields", "Enter a whole number."),
            FieldKind.SCALES: translate("RecipeFields", "Enter numbers separated by commas, such as 2, 3, 4."),
        }
        raise ValueError(words.get(spec.kind, translate("RecipeFields", "Enter a number."))) from None


def counts(spec: FieldSpec, config: TrainConfig) -> bool:
    """Whether a setting is used with the optimiser of `config`."""
    match spec.key:
        case "muon_rate":
            return config.optimizer == "muon"
        case "relative_rates":
            return config.optimizer in TAKE_RELATIVE_RATES
        case _:
            return True


def in_words(spec: FieldSpec, message: str) -> str:
    """A message of TrainConfig with labels in place of keys; shares in it are not converted to percent."""
    labels = {each.key: each.label for group in (duration_fields(), *field_groups().values()) for each in group}
    message = message.replace(spec.key, spec.label, 1)
    return re.sub(r"\b\w+(?= = )", lambda key: labels.get(key[0], key[0]), message)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        value, fine = QLocale().toDouble(text)
        if not fine:
            raise
        return value


def _practice() -> tuple[FieldSpec, ...]:
    percent, number = FieldKind.PERCENT, FieldKind.NUMBER
    of_patches = translate("RecipeFields", "% of the patches")
    return (
        FieldSpec(
            "scales",
            translate("RecipeFields", "Scale factors"),
            translate("RecipeFields", "Enlargements it practises most and is judged by."),
            FieldKind.SCALES,
        ),
        FieldSpec(
            "jpeg_share",
            translate("RecipeFields", "JPEG in"),
            translate("RecipeFields", "How often it meets JPEG blocks and learns to undo them."),
            percent,
            of_patches,
        ),
        FieldSpec(
            "jpeg_quality_min",
            translate("RecipeFields", "Worst quality"),
            translate("RecipeFields", "The lowest JPEG quality it meets, 1 to 100."),
        ),
        FieldSpec(
            "jpeg_quality_max",
            translate("RecipeFields", "Best quality"),
            translate("RecipeFields", "The highest JPEG quality it meets, 1 to 100."),
        ),
        FieldSpec(
            "blur_share",
            translate("RecipeFields", "Blur in"),
            translate("RecipeFields", "How often it meets slightly blurred pictures."),
            percent,
            of_patches,
        ),
        FieldSpec(
            "blur_sigma_max",
            translate("RecipeFields", "Strongest blur"),
            translate("RecipeFields", "How far the blur reaches at its strongest."),
            number,
            translate("RecipeFields", "px"),
        ),
        FieldSpec(
            "noise_share",
            translate("RecipeFields", "Noise in"),
            translate("RecipeFields", "How often it meets noise and learns to remove it."),
            percent,
            of_patches,
        ),
        FieldSpec(
            "noise_sigma_max",
            translate("RecipeFields", "Strongest noise"),
            translate("RecipeFields", "How strong the noise is at its strongest, out of 255."),
            number,
        ),
    )


def _network() -> tuple[FieldSpec, ...]:
    symmetries = {
        "none": translate("RecipeFields", "None (published)"),
        "p4": translate("RecipeFields", "Quarter turns"),
        "p4m": translate("RecipeFields", "Rotations and mirroring"),
    }
    return (
        FieldSpec(
            "depth",
            translate("RecipeFields", "Layers"),
            translate("RecipeFields", "More layers see further and take longer; VDSR has 20."),
        ),
        FieldSpec(
            "width",
            translate("RecipeFields", "Channels"),
            translate("RecipeFields", "How much each layer can hold; VDSR has 64."),
        ),
        FieldSpec(
            "symmetry",
            translate("RecipeFields", "Symmetry"),
            translate(
                "RecipeFields",
                "What a patch teaches also holds for its rotations; learns faster. Channels come in fours or eights.",
            ),
            FieldKind.CHOICE,
            choices=symmetries,
        ),
        FieldSpec(
            "patch_px",
            translate("RecipeFields", "Patch"),
            translate("RecipeFields", "Side of the small squares it learns from."),
            unit=translate("RecipeFields", "px"),
        ),
        FieldSpec(
            "batch",
            translate("RecipeFields", "Patches a step"),
            translate("RecipeFields", "Squares used for each correction; more is steadier, but slower."),
        ),
    )


def _learning() -> tuple[FieldSpec, ...]:
    optimizers = {
        "muon": translate("RecipeFields", "Muon (fastest)"),
        "adam": "Adam",
        "adamw": "AdamW",
        "sgd": translate("RecipeFields", "SGD (as published)"),
    }
    losses = {
        "mse": translate("RecipeFields", "Squared (published)"),
        "rms": translate("RecipeFields", "Squared, per patch"),
        "charbonnier": translate("RecipeFields", "Nearly absolute"),
    }
    schedules = {
        "cosine": translate("RecipeFields", "Falls smoothly to zero"),
        "plateau": translate("RecipeFields", "Stays, falls at the end"),
        "step": translate("RecipeFields", "Falls in steps"),
        "constant": translate("RecipeFields", "Stays"),
    }
    kinds_of_rate = {
        "yes": translate("RecipeFields", "A share of the weights"),
        "no": translate("RecipeFields", "The same for all"),
    }
    return (
        FieldSpec(
            "loss",
            translate("RecipeFields", "Error"),
            translate(
                "RecipeFields",
                "How mistakes count: squared, the largest decide; per patch, each has a say; nearly absolute, all do.",
            ),
            FieldKind.CHOICE,
            choices=losses,
        ),
        FieldSpec(
            "consistency",
            translate("RecipeFields", "Against the input"),
            translate("RecipeFields", "How much more a mistake counts that the small picture already rules out."),
            FieldKind.NUMBER,
        ),
        FieldSpec(
            "teacher_steps",
            translate("RecipeFields", "Teacher"),
            translate(
                "RecipeFields",
                "A helper that learns first and then shows what can be guessed: more from each step after. 0 for none.",
            ),
            unit=translate("RecipeFields", "steps"),
        ),
        FieldSpec(
            "optimizer",
            translate("RecipeFields", "Method"),
            translate("RecipeFields", "How corrections are made."),
            FieldKind.CHOICE,
            choices=optimizers,
        ),
        FieldSpec(
            "muon_rate",
            translate("RecipeFields", "Rate, inside"),
            translate("RecipeFields", "Size of the corrections of the inner layers, with Muon."),
            FieldKind.NUMBER,
        ),
        FieldSpec(
            "rate",
            translate("RecipeFields", "Rate"),
            translate("RecipeFields", "Size of the corrections: too large and it forgets, too small and it crawls."),
            FieldKind.NUMBER,
        ),
        FieldSpec(
            "relative_rates",
            translate("RecipeFields", "Rate is"),
            translate(
                "RecipeFields", "A share moves strong and weak layers alike; the same for all moves weak ones more."
            ),
            FieldKind.YES_NO,
            choices=kinds_of_rate,
        ),
        FieldSpec(
            "schedule",
            translate("RecipeFields", "Rate over time"),
            translate("RecipeFields", "How the corrections become smaller."),
            FieldKind.CHOICE,
            choices=schedules,
        ),
        FieldSpec(
            "warmup_steps",
            translate("RecipeFields", "Warm-up"),
            translate("RecipeFields", "Steps at the beginning with small corrections."),
            unit=translate("RecipeFields", "steps"),
        ),
        FieldSpec(
            "seed",
            translate("RecipeFields", "Seed"),
            translate("RecipeFields", "Determines everything random: the same seed gives the same network."),
        ),
    )


def _computer() -> tuple[FieldSpec, ...]:
    devices = {
        "auto": translate("RecipeFields", "Automatic"),
        "cpu": translate("RecipeFields", "Processor"),
        "cuda": translate("RecipeFields", "NVIDIA graphics card"),
        "mps": translate("RecipeFields", "Apple graphics"),
    }
    precisions = {
        "auto": translate("RecipeFields", "Automatic"),
        "bf16": translate("RecipeFields", "16 bit (faster)"),
        "fp32": translate("RecipeFields", "32 bit (exact)"),
    }
    return (
        FieldSpec(
            "device",
            translate("RecipeFields", "Device"),
            translate("RecipeFields", "What does the work."),
            FieldKind.CHOICE,
            choices=devices,
        ),
        FieldSpec(
            "precision",
            translate("RecipeFields", "Precision"),
            translate("RecipeFields", "The number format it computes in."),
            FieldKind.CHOICE,
            choices=precisions,
        ),
        FieldSpec(
            "threads",
            translate("RecipeFields", "Threads"),
            translate("RecipeFields", "Processor cores it may use; 0 lets it choose. Fewer leave room for other work."),
        ),
        FieldSpec(
            "validate_every",
            translate("RecipeFields", "Judged every"),
            translate("RecipeFields", "Steps from one point of the curve to the next."),
            unit=translate("RecipeFields", "steps"),
        ),
        FieldSpec(
            "checkpoint_every",
            translate("RecipeFields", "Saved every"),
            translate("RecipeFields", "The most steps that a power cut can cost."),
            unit=translate("RecipeFields", "steps"),
        ),
    )
