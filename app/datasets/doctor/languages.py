"""Which languages the texts are in: some of them, spread over all, looked at with py3langid."""

from collections import Counter
from functools import cache
from typing import Any

from app.datasets.doctor.base import Block, Check, Found, Rows, drop

SAMPLE = 2000  # texts
_LETTERS = 40  # a shorter text is guessed wrong too often
_SURE = 0.95
_SHARE = 0.01  # of a language that is worth a word
NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


class Languages(Check):
    """More than one language in the first text column."""

    doing = "looking at the languages"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._every = max(1, self.count // SAMPLE)
        self._sample: list[tuple[int, str]] = []
        self.mix: dict[str, float] = {}  # language → share of the texts that could be told

    def add(self, block: Block) -> None:
        cells = block.cells(self.asked.text[0])
        for place in range(-block.first % self._every, len(block), self._every):
            text = " ".join(cells[place].split())[:500]
            if sum(map(str.isalpha, text)) >= _LETTERS:
                self._sample.append((block.first + place, text))

    def finish(self, rows: Rows) -> list[Found]:
        if len(self._sample) < 20:
            return []
        identify = _identifier()
        told = []
        for at, text in self._sample:
            language, sure = identify.classify(text)
            if sure >= _SURE and language != "zxx":  # no language: a list of numbers
                told.append((at, language))
        counts = Counter(language for _, language in told)
        if len(counts) < 2:
            self.mix = dict.fromkeys(counts, 1.0)
            return []
        self.mix = {name: count / len(told) for name, count in counts.most_common()}
        (main, _), *others = counts.most_common()
        others = [(name, count) for name, count in others if count >= max(2, _SHARE * len(told))]
        if not others:
            return []
        few = {name for name, _ in others}
        chosen = [(at, language) for at, language in told if language in few]
        shown = ", ".join(f"{_name(name)} ({100 * self.mix[name]:.0f} %)" for name, _ in others[:5])
        sampled = f" Looked at: {len(told):,} texts, spread over all rows." if self._every > 1 else ""
        return [
            Found(
                id="languages",
                severity="note",
                title="More than one language",
                message=f"Most texts are {_name(main)} ({100 * self.mix[main]:.0f} %), but there is {shown} too. A model that knows one language only "
                f"reads the others badly.{sampled}",
                count=len(chosen),
                columns=[self.asked.text[0]],
                positions=[at for at, _ in chosen],
                notes=[_name(language) for _, language in chosen],
                fixes=[drop(len(chosen))] if self._every == 1 else [],
            )
        ]


@cache
def _identifier() -> Any:
    """Takes a second and 100 MB."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _name(code: str) -> str:
    return NAMES.get(code, code)
