"""Hints of personal data: e-mail addresses and phone numbers. A model may learn them by heart."""

import re

from app.datasets.doctor.base import Block, Check, Found, Rows, drop, share_text

EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[a-zA-Z0-9-]{1,63}(?:\.[a-zA-Z0-9-]{1,63}){0,4}\.[a-zA-Z]{2,24}(?![\w-])"
)
# +49 30 1234567, (030) 123-4567, 555-123-4567, 0171/1234567; not 2024-05-31, 1,234,567 or 192.168.10.1.
PHONE = re.compile(
    r"(?<![\w.,:/+-])(?:\+\d{1,3}[ ./-]?(?:\(0?\d{1,4}\)|\d{1,4})(?:[ ./-]?\d{2,4}){2,4}"
    r"|\(\d{2,5}\) ?\d{3,4}[ .-]?\d{3,5}|\d{3}[ .-]\d{3}[ .-]\d{4}|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5})(?![\w,:/-]|\.\d)"
)
_DIGIT = re.compile(r"\d{3}")


class Personal(Check):
    doing = "looking for e-mail addresses and phone numbers"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._found: dict[int, str] = {}

    def add(self, block: Block) -> None:
        for place, text in enumerate(block.texts):
            kinds = []
            if "@" in text and EMAIL.search(text):
                kinds.append("e-mail")
            if _DIGIT.search(text) and PHONE.search(text):
                kinds.append("phone")
            if kinds:
                self._found[block.first + place] = ", ".join(kinds)

    def finish(self, rows: Rows) -> list[Found]:
        if not self._found:
            return []
        count = len(self._found)
        return [
            Found(
                id="personal",
                severity="note",
                title="Perhaps personal data",
                message=f"{share_text(count, rows.count)} have what looks like an e-mail address or a phone number. A model may repeat what it "
                "has read: leave such rows out unless you may use them.",
                count=count,
                columns=list(rows.asked.text),
                positions=list(self._found),
                notes=list(self._found.values()),
                fixes=[drop(count)] if count < rows.count else [],
            )
        ]
