"""What a model folder's tokenizer files say: whether there is a tokenizer, which languages it marks, a chat template."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Any one of these groups makes a tokenizer.
_FAST = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
# These need sentencepiece, in families of which transformers keeps the tokenizer as it was published …
_MARIAN = ("source.spm", "target.spm", "vocab.json")
_M2M_100 = ("vocab.json", "sentencepiece.bpe.model")
# … and these protobuf too, by which transformers turns them into a tokenizer.json.
_SENTENCEPIECE = ("spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model")

# How a family writes its language codes as tokens; the group is what its tokenizer calls src_lang and tgt_lang.
_CODES = {"mbart": r"([a-z]{2,3}_[A-Z]{2})", "m2m_100": r"([a-z]{3}_[A-Z][a-z]{3})|__([a-z]{2,3})__"}
# Tokenizers that have their codes in their program: no file of theirs has to name them.
MBART = """
    ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV
    my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN
"""
MBART_50 = f"""{MBART}
    af_ZA az_AZ bn_IN fa_IR gl_ES he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF
    pt_XX sl_SI sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA
"""
M2M_100 = """
    af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi
    hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns
    oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh
    zu
"""
WMT_21 = "cs de en ha is ja ru zh"


def missing_tokenizer(folder: Path, family: str) -> str | None:
    """Why `folder` has no tokenizer that can be loaded here, to go on after the model's name; None if it has one."""

    def there(group: tuple[str, ...]) -> bool:
        return all((folder / name).is_file() for name in group)

    if any(map(there, _FAST)):
        return None
    own = {"marian": _MARIAN, "m2m_100": _M2M_100}.get(family)
    if own is not None and there(own):
        found, needed = own[0], ["sentencepiece"]
    else:
        files = [name for name in _SENTENCEPIECE if there((name,))]
        if not files or family == "marian":
            wanted = f" or {', '.join(own)}" if own else ""
            return f"has no tokenizer: add the tokenizer.json{wanted} (tokenizer.save_pretrained writes it)"
        found, needed = files[0], ["sentencepiece", "protobuf"]
    absent = [name for name in needed if not _installed(name)]
    if not absent:
        return None
    which = "package" if len(absent) == 1 else "packages"
    return (
        f"has its tokenizer only as {found}, which needs the {which} {' and '.join(absent)}: "
        "run pip install, or add a tokenizer.json"
    )


def languages(family: str, *files: dict[str, Any]) -> list[str]:
    """The codes of the languages that a model's tokenizer marks texts with ("fr_XX", "fra_Latn", "fr"), sorted; [] for none.

    `files`: the contents of tokenizer_config.json, special_tokens_map.json and config.json, in this order.
    """
    pattern = _CODES.get(family)
    if pattern is None:
        return []
    found = set()
    for token in _special_tokens(files):
        if match := re.fullmatch(pattern, token):
            found.add(next(filter(None, match.groups())))
    if found:
        return sorted(found)
    named = next((str(file["tokenizer_class"]) for file in files if file.get("tokenizer_class")), "")
    if family == "mbart":
        return sorted((MBART_50 if named.startswith("MBart50") else MBART).split())
    if named.startswith("Nllb"):
        return []
    return sorted(
        (WMT_21 if any(file.get("language_codes") == "wmt21" for file in files) else M2M_100).split()
    )


def has_chat_template(tokenizer: dict[str, Any], files: set[str]) -> bool:
    """By the contents of tokenizer_config.json and the names of the files beside it."""
    return bool(tokenizer.get("chat_template")) or "chat_template.jinja" in files


def _special_tokens(files: tuple[dict[str, Any], ...]) -> Iterator[str]:
    for file in files:
        lists = [file.get(name) for name in ("extra_special_tokens", "additional_special_tokens")]
        added = file.get("added_tokens_decoder")
        lists.append(list(added.values()) if isinstance(added, dict) else None)
        for one in lists:
            for token in one if isinstance(one, list) else ():
                text = token.get("content") if isinstance(token, dict) else token
                if isinstance(text, str):
                    yield text


def _installed(package: str) -> bool:
    try:
        return find_spec("google.protobuf" if package == "protobuf" else package) is not None
    except ModuleNotFoundError:
        return False
