"""Columns that say nothing: always the same value, or a number of the row."""

from app.datasets.doctor.base import Check, Found, Rows

_LEAST = 20  # rows


class Columns(Check):
    doing = "looking at the columns"

    def finish(self, rows: Rows) -> list[Found]:
        if rows.count < _LEAST:
            return []
        constant = [
            name for name, about in self.profile.items() if about["distinct"] == 1 and not about["empty"]
        ]
        numbers = [
            name
            for name, about in self.profile.items()
            if not about["distinct_capped"]
            and about["distinct"] == rows.count
            and about["max_chars"] <= 40
            and (about["numeric"] or about["mean_chars"] == about["max_chars"])
        ]
        found = []
        for name in constant:
            read = name in rows.asked.text
            if name == rows.asked.label:
                continue  # said of the classes
            counts = self.profile[name]["counts"]  # None for lists, as tags
            value = repr(next(iter(counts))[:80]) if counts else "the same"
            found.append(
                Found(
                    id=f"constant-{list(self.profile).index(name) + 1}",
                    severity="error" if read else "note",
                    title=f"{name} is always the same",
                    message=f"Every row has {value} in the column {name}"
                    f"{': a text that tells nothing. Choose another column.' if read else ', so it tells nothing.'}",
                    count=rows.count,
                    columns=[name],
                )
            )
        for name in numbers:
            if name == rows.asked.label and rows.asked.labels != "classes":
                continue  # numbers to learn
            read = name in rows.asked.text or (name == rows.asked.label and rows.asked.labels == "classes")
            found.append(
                Found(
                    id=f"id-{list(self.profile).index(name) + 1}",
                    severity="error" if read else "note",
                    title=f"{name} numbers the rows",
                    message=f"{name} has another value in each row and looks like an id"
                    f"{': nothing to learn from. Choose another column.' if read else '; it is not read for training.'}",
                    count=rows.count,
                    columns=[name],
                )
            )
        return found
