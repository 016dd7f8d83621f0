"""No request brings an answer that the document does not describe (a short run)."""

import shutil

import pytest

from api.fuzzing import fuzz


@pytest.mark.skipif(shutil.which("schemathesis") is None, reason="needs schemathesis")
async def test_whatever_is_asked_the_answer_is_one_of_the_contract() -> None:
    fuzzed = await fuzz("examples,fuzzing,stateful", seconds=6, seed=1)
    assert fuzzed.passed, fuzzed.text
    assert fuzzed.cases >= 1
    assert fuzzed.turns >= 1
