"""A program that serves an agent with agno's own server; it runs where agno is installed.

It knows nothing of Wingman. `python -P _agno.py URL DIRECTORY PORT` serves on loopback: the model
is at the URL, and the directory has the database. The agent sends its history to the model, as
Wingman's do.
"""

import sys

import uvicorn
from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai.like import OpenAILike
from agno.os import AgentOS


def main(url: str, directory: str, port: int) -> None:
    """Serve."""
    agent = Agent(
        id="text",
        name="text",
        model=OpenAILike(id="m", api_key="none", base_url=url),
        db=SqliteDb(db_file=f"{directory}/agno.db"),
        add_history_to_context=True,
        num_history_runs=1_000,
        telemetry=False,
    )
    app = AgentOS(agents=[agent], telemetry=False).get_app()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
