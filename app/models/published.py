"""Models whose weights are not published, and what open models to name instead."""

import re
import unicodedata

# Compared with the name in small letters without separators: "GPT-4 Turbo" is "gpt4turbo".
# A hub id of another organisation must match as a whole, for open models have names like "claude-style-bert".
_CLOSED = re.compile(
    r"chatgpt(4o?)?(latest)?"
    r"|gpt(3|35|4|41|45|4o|5\d?)((turbo|mini|nano|micro|preview|vision|instruct|pro|codex|chat|latest|audio|realtime"
    r"|search|max|16k|32k|8k|o)|\d{3,8})*"
    r"|o[1345](mini|pro|preview|high|\d{4,8})*"
    r"|(text)?(davinci|curie|babbage|ada)(00\d|edit|codex)*|textembedding(ada00\d|3small|3large)"
    r"|claude((instant|haiku|sonnet|opus|fable|mythos|latest)|v?\d+)*"
    r"|gemini((pro|flash|ultra|nano|lite|exp|preview|latest|thinking)|\d+)*"
    r"|bard|palm2?|copilot|grok(3|4|5)?(mini|fast|beta|code)*"
)
_VENDORS = {"openai", "anthropic", "google", "xai", "microsoft", "githubcopilot"}
_PREFIXES = ("claude", "chatgpt", "gemini")
# Open models that a person means who types a closed one: small generative decoders.
OPEN_ON_THE_HUB = ("hub:openai-community/gpt2", "hub:distilbert/distilbert-base-uncased")


def is_unpublished(model: str) -> bool:
    """Whether `model` (as typed: "gpt4", "hub:gpt-4", "OpenAI/GPT 4o") names a model without published weights."""
    # NFKC: a hyphen that does not break, copied from a page, is none other than a hyphen.
    plain = unicodedata.normalize("NFKC", model).strip().lower()
    name = re.sub(r"^(hub|local)\s*:", "", plain)
    vendor, _, rest = name.rpartition("/")
    if not vendor and ":" in name:
        vendor, _, rest = name.rpartition(":")
    compact = re.sub(r"[\s._:\u2010-\u2015-]+", "", rest)
    if _CLOSED.fullmatch(compact):
        return True
    theirs = not vendor or vendor.strip() in _VENDORS
    return theirs and compact.startswith(_PREFIXES)
