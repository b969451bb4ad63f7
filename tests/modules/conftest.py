"""Few trees, for tests that do not depend on their number: LightGBM took a fifth of their time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from farebox.modules import boosting


@pytest.fixture(scope="module")
def few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "MAX_TREES", 100)
        yield
