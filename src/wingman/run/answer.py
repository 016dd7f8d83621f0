"""Structured output: the final response of a run whose agent has an `output_schema`.

It is parsed and checked. One that does not fit is answered once, with what is wrong, as a user's
message of the run; a second one fails it.
"""

import attrs

from wingman.conversation import Message
from wingman.errors import OutputInvalid
from wingman.output import Output, OutputCheck, OutputMismatch

__all__ = ["FinalOutput"]


@attrs.define(eq=False)
class FinalOutput:
    """Judges one run's final responses. Without a `check`, any will do."""

    check: OutputCheck | None
    output: Output | None = None
    _asked_again: bool = False

    def judge(self, response: str) -> Message | None:
        """Take a final response as the run's `output`, or return what the model is to be told.

        Raises `OutputInvalid` where the model has been told already.
        """
        if self.check is None:
            return None
        try:
            self.output = self.check.parse(response)
        except OutputMismatch as mismatch:
            if self._asked_again:
                raise OutputInvalid(
                    "The model's response does not fit the agent's output_schema, also after it "
                    f"was told what was wrong: {mismatch}"
                ) from mismatch
            self._asked_again = True
            return Message.user(
                "Your response does not fit the JSON Schema that is demanded of it. Respond again "
                f"with the corrected JSON alone, without any other text. What is wrong:\n{mismatch}"
            )
        return None
