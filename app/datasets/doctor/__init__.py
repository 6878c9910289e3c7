"""The data doctor: finds what makes training fail before anything is trained. A check is a file here and a line in CHECKS."""

from app.datasets.doctor.base import Asked, Check, Found
from app.datasets.doctor.columns import Columns
from app.datasets.doctor.duplicates import Conflicts, Duplicates
from app.datasets.doctor.label_sets import LabelSets
from app.datasets.doctor.labels import NoNumbers, SmallClasses, Spellings
from app.datasets.doctor.languages import Languages
from app.datasets.doctor.lengths import Lengths
from app.datasets.doctor.markup import Encoding, Html
from app.datasets.doctor.missing import Missing
from app.datasets.doctor.near_duplicates import Leaks, NearDuplicates
from app.datasets.doctor.parts import PartNames
from app.datasets.doctor.personal import Personal
from app.datasets.doctor.swapped import Swapped
from app.datasets.doctor.tags import Tags

__all__ = ["CHECKS", "Asked", "Check", "Found"]

CHECKS: tuple[type[Check], ...] = (
    Missing,
    Duplicates,
    Conflicts,
    Leaks,
    NearDuplicates,
    SmallClasses,
    Spellings,
    LabelSets,
    NoNumbers,
    Swapped,
    Tags,
    Columns,
    PartNames,
    Html,
    Encoding,
    Personal,
    Lengths,
    Languages,
)
