"""Which column is what: guessed by the columns' names and by what is in them."""

import re
from collections.abc import Iterator, Mapping, Sequence

from app.datasets.column import ColumnProfile

TEXT_NAMES = (
    *("text", "texts", "review", "sentence", "content", "message", "comment", "tweet", "body", "document"),
    *("review_text", "reviewtext", "description", "question", "utterance", "post", "abstract", "summary"),
    *("article", "phrase", "feedback", "email", "mail", "headline", "title", "subject", "source", "prompt"),
)
LABEL_NAMES = (
    *(
        "label",
        "labels",
        "class",
        "category",
        "sentiment",
        "target",
        "classes",
        "categories",
        "topic",
        "intent",
    ),
    *("emotion", "polarity", "stars", "star", "rating", "tag", "tags", "type", "genre", "is_spam", "spam"),
    *("airline_sentiment", "score", "y", "output", "outcome", "result"),
)
_ID_NAME = re.compile(
    r"(?:.*[_\s-])?(?:id|ids|uuid|guid|index|idx|row|nr|no|key|url|link)|unnamed: ?\d+", re.I
)
_CAMEL_ID = re.compile(r".*[a-z]I[dD]")
# More than one word: a space, or two characters of a script that writes none (Thai to Khmer, Japanese, Chinese).
_WORDS = re.compile(" |[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{2}")
_PART_NAME = re.compile(r"split|fold|set|subset|part|partition|dataset", re.I)
# Names of the two texts of a pair, in this order.
PAIR_NAMES = (
    *(
        ("text", "text_pair"),
        ("text", "text2"),
        ("text1", "text2"),
        ("text_1", "text_2"),
        ("text_a", "text_b"),
    ),
    *(("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b")),
    *(
        ("premise", "hypothesis"),
        ("question1", "question2"),
        ("question_1", "question_2"),
        ("query", "passage"),
    ),
    *(("query", "document"), ("first", "second"), ("anchor", "positive")),
)
SOURCE_NAMES = (
    "source",
    "source_text",
    "src",
    "input_text",
    "article",
    "document",
    "dialogue",
    "original",
    "text",
)
TARGET_NAMES = ("target", "target_text", "tgt", "trg", "translation", "summary", "highlights", "simplified")
LANGUAGES = (
    *("en", "english", "fr", "french", "de", "german", "es", "spanish", "it", "italian", "pt", "portuguese"),
    *("nl", "dutch", "pl", "polish", "ru", "russian", "uk", "ukrainian", "cs", "czech", "ro", "romanian"),
    *("sv", "swedish", "da", "danish", "fi", "finnish", "hu", "hungarian", "el", "greek", "tr", "turkish"),
    *("zh", "chinese", "ja", "japanese", "ko", "korean", "ar", "arabic", "he", "hebrew", "hi", "hindi"),
    *("vi", "vietnamese", "th", "thai", "francais", "deutsch", "espanol", "italiano"),
)
PROMPT_NAMES = ("prompt", "instruction", "question", "query", "input", "user", "context")
COMPLETION_NAMES = ("completion", "response", "answer", "output", "reply", "assistant", "target")
TOKEN_NAMES = ("tokens", "words", "token", "word", "sentence", "text")
TAG_NAMES = ("tags", "ner_tags", "labels", "ner", "tag", "label", "ner_tag", "pos_tags")
SPAN_NAMES = ("spans", "entities", "ents", "annotations", "labels", "label")


def roles(columns: Mapping[str, ColumnProfile]) -> dict[str, str]:
    """{role: column} for text, text_pair, label, tokens, tags, spans, source, target, prompt and completion.

    A role that no column fits is not there; one column may fit several. Both of a pair are there or none:
    text_pair needs text, tags need tokens, target needs source, completion needs prompt.
    """
    text, label = text_and_label(columns)
    lists = _lists(columns)
    if lists["tokens"] and text and _plain(text) not in TEXT_NAMES:
        text = None  # the tokens are the text: what else is there, as a column of parts, is none
    found = {"text": text, "label": label or _score(columns, text), **lists}
    if found["label"] is None and lists["tokens"] is None:  # the labels of a row as a list
        found["label"] = _exactly(LABEL_NAMES, {n: c for n, c in columns.items() if c.shape == "values"})
    texts = {n: c for n, c in columns.items() if c.shape is None and _is_text(n, c)}
    found["text_pair"] = next((second for first, second in _pairs(texts) if first == text), None)
    found["source"], found["target"] = _source_and_target(texts)
    plain = {n: c for n, c in columns.items() if c.shape is None and c.distinct}
    prompt = _exactly(PROMPT_NAMES, texts)
    completion = _exactly(COMPLETION_NAMES, {n: c for n, c in plain.items() if n != prompt})
    if prompt and completion:
        found["prompt"], found["completion"] = prompt, completion
    if text and _plain(text) not in TEXT_NAMES and not found["text_pair"]:
        # The longest of texts that all have another role is no better than the one that is read.
        found["text"] = found["source"] or found.get("prompt") or text
    if label in (found["target"], found.get("completion")) and label and not _repeats(columns[label], 1):
        found["label"] = None
    return {role: column for role, column in found.items() if column is not None}


def text_and_label(columns: Mapping[str, ColumnProfile]) -> tuple[str | None, str | None]:
    """(text column, label column): by name, else the longest text and the smallest repeated set of values.

    Never the same column, never one that looks like an id or a number; None where nothing fits.
    """
    filled = {name: column for name, column in columns.items() if column.distinct and column.shape is None}
    texts = {n: c for n, c in filled.items() if not _is_id(n, c) and not _is_numeric(c)}
    labels = {n: c for n, c in filled.items() if not _is_id(n, c)}
    text = next((first for first, _ in _pairs(texts)), None) or _named(TEXT_NAMES, texts)
    others = {n: c for n, c in labels.items() if n != text}
    label = _named(LABEL_NAMES, {n: c for n, c in others.items() if _repeats(c, 1)})
    label = label or _named(LABEL_NAMES, others)
    if text is None:
        rest = {n: c for n, c in texts.items() if n != label}
        text = max(rest, key=lambda n: rest[n].mean_chars, default=None)
    if text is None:  # single words, none of them twice, are texts where nothing else is
        words = {n: c for n, c in filled.items() if n != label and not _is_numeric(c)}
        text = _named(TEXT_NAMES, words)
    if label is None:
        others.pop(text or "", None)
        repeated = {n: c for n, c in others.items() if _repeats(c, 2) and not _PART_NAME.fullmatch(n)}
        label = min(repeated, key=lambda n: repeated[n].distinct, default=None)
    return text, label


def _score(columns: Mapping[str, ColumnProfile], text: str | None) -> str | None:
    """A column of numbers that is called like a label, though no number comes twice."""
    return _exactly(LABEL_NAMES, {n: c for n, c in columns.items() if c.numeric and c.distinct and n != text})


def _lists(columns: Mapping[str, ColumnProfile]) -> dict[str, str | None]:
    """Columns of JSON lists: tokens with tags, and spans."""
    values = {n: c for n, c in columns.items() if c.shape == "values"}
    spans = {n: c for n, c in columns.items() if c.shape in ("spans", "empty")}
    tokens = _exactly(TOKEN_NAMES, values)
    tags = _exactly(TAG_NAMES, {n: c for n, c in values.items() if n != tokens}) if tokens else None
    found = _exactly(SPAN_NAMES, spans) or next((n for n, c in spans.items() if c.shape == "spans"), None)
    return {"tokens": tokens, "tags": tags, "spans": found}


def _pairs(texts: Mapping[str, ColumnProfile]) -> Iterator[tuple[str, str]]:
    for first, second in PAIR_NAMES:
        found = _exactly((first,), texts), _exactly((second,), texts)
        if found[0] and found[1]:
            yield found[0], found[1]


def _source_and_target(texts: Mapping[str, ColumnProfile]) -> tuple[str | None, str | None]:
    """By their names, or two languages of which English is the source; never a target that repeats as labels do."""
    texts = {n: c for n, c in texts.items() if not _repeats(c, 1)}
    source, target = _exactly(SOURCE_NAMES, texts), _exactly(TARGET_NAMES, texts)
    if source and target:
        return source, target
    languages = [name for name in texts if _plain(name) in LANGUAGES]
    if len(languages) == 2:
        languages.sort(key=lambda name: _plain(name) not in ("en", "english"))
        return languages[0], languages[1]
    return None, None


def _is_text(name: str, column: ColumnProfile) -> bool:
    return bool(column.distinct) and not _is_numeric(column) and not _ID_NAME.fullmatch(name.strip())


def _exactly(wanted: Sequence[str], columns: Mapping[str, ColumnProfile]) -> str | None:
    plain = {_plain(name): name for name in reversed(list(columns))}
    return next((plain[want] for want in wanted if want in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def _named(wanted: Sequence[str], columns: Mapping[str, ColumnProfile]) -> str | None:
    """The column with the first of the wanted names; else one that has it as a word ("review text")."""
    plain = {name: _plain(name) for name in columns}
    for want in wanted:
        for name, simple in plain.items():
            if simple == want:
                return name
    for want in wanted:
        for name, simple in plain.items():
            if len(want) > 1 and want in simple.split("_"):
                return name
    return None


def _is_id(name: str, column: ColumnProfile) -> bool:
    """An id by its name, or single words or numbers of which none comes twice."""
    if _ID_NAME.fullmatch(name.strip()) or _CAMEL_ID.fullmatch(name.strip()):
        return True
    if column.rows < 20 or column.distinct < min(column.rows - column.empty, column.max_distinct):
        return False
    return not any(_WORDS.search(cell.strip()) for cell in column.sample)


def _is_numeric(column: ColumnProfile) -> bool:
    filled = [cell for cell in column.sample if cell.strip()]
    return bool(filled) and sum(bool(_NUMBER.fullmatch(cell.strip())) for cell in filled) > 0.9 * len(filled)


_NUMBER = re.compile(r"[+-]?[\d.,]+(?:[eE][+-]?\d+)?%?")


def _repeats(column: ColumnProfile, least: int) -> bool:
    """At least so many values, and few enough to be classes, each there about twice or more."""
    filled = column.rows - column.empty
    return column.counts is not None and least <= len(column.counts) <= max(2, filled // 2)
