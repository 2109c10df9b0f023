"""Works of the reading list that are no rows, each with the reason."""

from __future__ import annotations

from pydantic import Field

from bnn_train.spec.record import Record


class Outside(Record):
    """A work, or a part of one, that this project leaves out."""

    title: str
    paper: str
    year: int = Field(ge=1980)
    reason: str
    """A sentence for whoever looks for it in the table."""


OUTSIDE = (
    Outside(
        title="Binary-weight object detector",
        paper="Xu, Dong, Li, Su: Training a Binary Weight Object Detector by Knowledge Transfer (2018), arXiv"
        " 1804.06332",
        year=2018,
        reason="Detection is another task than classification: boxes, their loss and metric are not here."
        " Its knowledge transfer is the term `feature` of a loss, and its weights are method bwn's.",
    ),
    Outside(
        title="Pedestrian detection",
        paper="Zhuang, Xu, Ni, Xu: Flexible Network Binarization with Layer-wise Priority (2017), arXiv"
        " 1709.04344",
        year=2017,
        reason="The paper measures miss rates of a detector; its way to binarize is method flebin.",
    ),
    Outside(
        title="Speech separation",
        paper="Distilled Binary Neural Network for Monaural Speech Separation (IJCNN 2018), doi"
        " 10.1109/IJCNN.2018.8489456",
        year=2018,
        reason="The paper separates voices, a regression on spectra; its way to binarize is method dbnn.",
    ),
    Outside(
        title="Theory of subdominant dense clusters",
        paper="Baldassi et al.: Subdominant Dense Clusters (PRL 2015), arXiv 1509.05753",
        year=2015,
        reason="The result is about the landscape of solutions of a perceptron; method rsgd puts it to use.",
    ),
)
"""By what they are about."""
