"""Agents: the agents of a runtime, those in the store and those that a program defines in code."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
import trio

from wingman.agent import Agent, ChosenAgent, Compaction
from wingman.api import AgentFields, AgentRecord, CompactionConfig, NewAgent, ProviderConfig
from wingman.errors import InvalidRequest, NotFound
from wingman.ids import new_id
from wingman.providers import Provider, ProviderRegistry
from wingman.run import now
from wingman.runtime.agent_check import AgentSurroundings, blank_agent, check_schema, with_fields
from wingman.runtime.agent_order import AgentList, AgentOrder, Place, place_of
from wingman.runtime.credentials import Credentials
from wingman.runtime.toolsets import Toolsets
from wingman.store import AgentDeleted, AgentSaved, RunRecord, Store
from wingman.tools import Tool, Toolset
from wingman.under_trio import require_trio

__all__ = ["KEYLESS", "PREFERRED", "Agents", "default_provider"]


# The providers of which an agent gets the first that is configured, if it names none.
PREFERRED: Final = ("anthropic", "openai", "gemini")
KEYLESS: Final = "scripted"


def default_provider(configured: Callable[[str], bool]) -> str:
    """The first real model's API that is configured, else the model that needs no key."""
    return next(filter(configured, PREFERRED), KEYLESS)


class Agents:
    """All agents by id; the records are kept in memory, since every message needs one.

    An agent of code has its name as its id, and is not in the store: the program brings it again.
    So has one of the settings, which may be given anew; but its runs keep a record of it, as those
    of the store do.
    """

    def __init__(
        self,
        store: Store,
        tools: Iterable[Tool],
        providers: ProviderRegistry,
        credentials: Credentials,
        code: Iterable[Agent],
        compaction: Compaction | None = None,
        toolsets: Iterable[Toolset] = (),
    ) -> None:
        self._own_tools = {tool.name: tool for tool in tools}
        self.tools: Mapping[str, Tool] = self._own_tools
        self.toolsets = Toolsets(toolsets)
        self._store = store
        self._compaction = compaction
        self._providers = providers
        self._credentials = credentials
        self._records: dict[str, AgentRecord] = {}
        self._built: dict[str, ChosenAgent] = {}
        self._code: dict[str, ChosenAgent] = {}
        self._code_records: dict[str, AgentRecord] = {}
        self._given: dict[str, AgentRecord] = {}
        self._order = AgentOrder()
        self._changes = trio.Lock()  # one at a time, so that each sees the one before
        self._waiting = trio.lowlevel.ParkingLot()
        credentials.on_change(self._credentials_changed)
        for agent in code:
            self.add_code(agent)

    async def load(self) -> None:
        """Read the records; once, when the runtime opens."""
        require_trio()
        self._records = {record.id: record for record in await self._store.agents()}
        self._order.add_all(map(place_of, self._records.values()))

    async def refresh(self) -> None:
        """Know what other nodes have changed: credentials, and agents of the store."""
        require_trio()
        await self._credentials.refresh()
        async with self._changes:
            await self._read_again()

    async def _read_again(self) -> None:
        records = {record.id: record for record in await self._store.agents()}
        for id, record in list(self._records.items()):
            if records.get(id) != record:
                self._built.pop(id, None)
            if id not in records:
                self._order.remove(place_of(record))
        self._order.add_all(
            place_of(record) for id, record in records.items() if id not in self._records
        )
        self._records = records
        self._waiting.unpark_all()

    def add_code(self, agent: Agent) -> ChosenAgent:
        """Make an agent known that a program defines in code. Raises `InvalidRequest` if another
        one goes by its name."""
        known = self._code.get(agent.name)
        if known is None:
            known = self._code[agent.name] = ChosenAgent(agent, agent.name, None)
            record = self._code_records[agent.name] = _record_of(agent)
            self._order.add(place_of(record, code=True))
            self._waiting.unpark_all()
        elif known.agent != agent:
            raise InvalidRequest(
                f"There is another agent named {agent.name!r} in this runtime: a queued run finds "
                "its agent by name, so names must differ."
            )
        return known

    def list(self, limit: int | None = None, before: str | None = None) -> AgentList:
        """Agents: those of code, by name, then those in the store, newest first.

        All of them, or up to `limit` (≥ 1) after the page whose `next` is `before`. Raises
        `InvalidRequest` for a `before` that no page has had.
        """
        places, following = self._order.page(limit, before)
        return AgentList(map(self._at, places), following)

    def _at(self, place: Place) -> AgentRecord:
        if place.stored:
            return self._records[place.id]
        return self._code_records.get(place.id) or self._given[place.id]

    def get(self, agent_id: str) -> AgentRecord:
        """One agent; raises `NotFound`."""
        for records in (self._code_records, self._given, self._records):
            if agent_id in records:
                return records[agent_id]
        raise NotFound("agent", agent_id)

    def _stored(self, agent_id: str) -> AgentRecord:
        """One agent that can be changed: `InvalidRequest` for one of code or of the settings."""
        if agent_id in self._code:
            raise InvalidRequest(
                f"Agent {agent_id!r} is defined in the program's code: change it there."
            )
        if agent_id in self._given:
            raise InvalidRequest(
                f"Agent {agent_id!r} is one of the server's configuration: change it there, and "
                "have the server read it again (wingman reload)."
            )
        return self.get(agent_id)

    async def create(self, fields: AgentFields) -> AgentRecord:
        """Make an agent; it is durable when this returns."""
        require_trio()
        moment = now()
        async with self._changes:
            record = self._with(self._blank(new_id(), moment), fields, moment)
            await self._store.write(AgentSaved(record)).wait()
            self._keep(record)
            return record

    async def update(self, agent_id: str, fields: AgentFields) -> AgentRecord:
        """Change the fields that are given; runs that are admitted already keep what they had.

        Where another node changes the agent at the same time, both changes are made.
        """
        require_trio()
        async with self._changes:
            while True:
                old = self._stored(agent_id)
                record = self._with(old, fields, now())
                await self._store.write(AgentSaved(record, old.updated_at)).wait()
                if await self._store.agent(agent_id) == record:
                    self._keep(record)
                    return record
                await self._read_again()

    async def delete(self, agent_id: str) -> None:
        """Remove an agent; runs that are admitted already keep their copy."""
        require_trio()
        async with self._changes:
            self._stored(agent_id)
            await self._store.write(AgentDeleted(agent_id)).wait()
            self._order.remove(place_of(self._records.pop(agent_id)))
            self._built.pop(agent_id, None)

    async def id_of(self, agent: Agent | str | None) -> str | None:
        """The id of an agent, which is made known if it is one of code. Raises `NotFound`."""
        require_trio()
        if isinstance(agent, Agent):
            return self.add_code(agent).id
        if agent is not None:
            await self.check(agent)
        return agent

    async def check(self, agent_id: str) -> None:
        """Raise `NotFound` if there is no such agent, in the store or in code."""
        require_trio()
        try:
            self.get(agent_id)
        except NotFound:
            await self.refresh()  # another node may have just made it
            self.get(agent_id)

    def choose(self, agent_id: str) -> ChosenAgent:
        """The agent for a message; raises `NotFound`, or `ProviderNotConfigured`."""
        chosen = self._code.get(agent_id) or self._built.get(agent_id)
        if chosen is None:
            record = self.get(agent_id)
            self._credentials.require(record.provider.id)
            chosen = self._built[agent_id] = ChosenAgent(self._build(record), record.id, record)
        return chosen

    def resolve(self, run: RunRecord) -> Agent:
        """The agent of a run that is read from the store, as it was when it was admitted.

        Raises `NotFound` for one of code that the program has not brought, and
        `ProviderNotConfigured`.
        """
        if run.agent is not None:
            self._credentials.require(run.agent.provider.id)
            return self._build(run.agent)
        chosen = self._code.get(run.agent_id)
        if chosen is None:
            raise NotFound("agent", run.agent_id)
        return chosen.agent

    def prepare(
        self, tools: Iterable[Tool], toolsets: Iterable[Toolset], agents: Iterable[NewAgent]
    ) -> Callable[[], None]:
        """Look at the tools and agents of the settings; what is returned has them take the place of
        the former ones. Raises `InvalidRequest`, and nothing is changed.

        An agent has its name as its id. Runs that are admitted already keep what they had.
        """
        given = self.toolsets.checked(toolsets)
        known = {**self._own_tools}
        for tool in tools:
            if tool.name in known:
                raise InvalidRequest(f"There are two tools named {tool.name!r}.")
            known[tool.name] = tool
        moment = now()
        around = AgentSurroundings(known, {*self.toolsets.own, *given}, self._providers)
        records: dict[str, AgentRecord] = {}
        for fields in agents:
            record = records[fields.name] = self._given_record(fields, moment)
            if record.id in self._code or record.id in self._records:
                raise InvalidRequest(f"There is another agent whose id is {record.id!r}.")
            for problem in around.problems_of(record):
                raise problem.error

        def take() -> None:
            self.toolsets.give(given)
            for old in self._given.values():
                self._order.remove(place_of(old, code=True))
            self._order.add_all(place_of(record, code=True) for record in records.values())
            self._given, self.tools = records, known
            self._built.clear()
            self._waiting.unpark_all()

        return take

    def _given_record(self, fields: NewAgent, moment: datetime) -> AgentRecord:
        """The record of an agent of the settings: the one that there is, if it is the same."""
        old = self._given.get(fields.name)
        made = moment if old is None else old.created_at
        record = with_fields(self._blank(fields.name, made), fields, moment)
        if old is not None and msgspec.structs.replace(record, updated_at=old.updated_at) == old:
            return old
        return record

    async def changed(self) -> None:
        """Return when an agent of code, a tool or a credential has come: what was lacking may be
        there."""
        require_trio()
        await self._waiting.park()

    def _credentials_changed(self) -> None:
        self._built.clear()
        self._waiting.unpark_all()

    def _with(self, old: AgentRecord, fields: AgentFields, moment: datetime) -> AgentRecord:
        """A record with these fields. Raises `InvalidRequest` where something is wrong with it."""
        record = with_fields(old, fields, moment)
        around = AgentSurroundings(self.tools, self.toolsets.names, self._providers)
        for problem in around.problems_of(record):
            raise problem.error
        return record

    def _keep(self, record: AgentRecord) -> None:
        if record.id not in self._records:
            self._order.add(place_of(record))
        self._records[record.id] = record
        self._built.pop(record.id, None)

    def _blank(self, agent_id: str, moment: datetime) -> AgentRecord:
        return blank_agent(agent_id, self._default_provider(), moment)

    def _default_provider(self) -> ProviderConfig:
        name = default_provider(self._credentials.configured)
        return ProviderConfig(name, self._providers.entry(name).default_model)

    def _build(self, record: AgentRecord) -> Agent:
        config = record.provider
        check_schema(record)  # it may have been stored before schemas were checked
        return Agent(
            record.name,
            instructions=record.instructions,
            provider=self._provider(config),
            compaction=self._compaction_of(record.compaction),
            tools=self._known_tools(record.tools),
            toolsets=[self.toolsets.named(name) for name in record.toolsets],
            output_schema=record.output_schema,
            max_steps=record.max_steps,
            permissions=record.permissions,
            instruction_files=record.instruction_files,
        )

    def _provider(self, config: ProviderConfig) -> Provider:
        credential = self._credentials.get(config.id)
        return self._providers.create(
            config.id,
            config.model,
            api_key=credential.key,
            base_url=credential.base_url,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
        )

    def _compaction_of(self, config: CompactionConfig | bool | None) -> Compaction | None:
        """How histories are compacted for an agent of the store."""
        if config is False:
            return None
        if isinstance(config, CompactionConfig):
            provider = None if config.provider is None else self._provider(config.provider)
            return Compaction(threshold=config.threshold, provider=provider)
        return self._compaction

    def _known_tools(self, names: Sequence[str]) -> Sequence[Tool]:
        """The tools by name. One that this process lacks is missed by the model, who is told so
        when it calls it; the rest of the agent works."""
        return [self.tools[name] for name in names if name in self.tools]


def _record_of(agent: Agent) -> AgentRecord:
    """An agent of code as the wire shows it."""
    moment = now()
    return AgentRecord(
        id=agent.name,
        name=agent.name,
        instructions=agent.instructions,
        tools=tuple(tool.name for tool in agent.tools),
        toolsets=tuple(toolset.name for toolset in agent.toolsets),
        provider=ProviderConfig(agent.provider.id, agent.provider.model),
        output_schema=None if agent.output_check is None else agent.output_check.schema,
        max_steps=agent.max_steps,
        permissions=agent.permissions.rules or None,
        instruction_files=agent.instruction_files,
        compaction=_compaction_config(agent.compaction),
        created_at=moment,
        updated_at=moment,
    )


def _compaction_config(compaction: Compaction | None) -> CompactionConfig | bool | None:
    if compaction is None:
        return False
    if compaction == Compaction():
        return None
    provider = compaction.provider
    named = None if provider is None else ProviderConfig(provider.id, provider.model)
    return CompactionConfig(compaction.threshold, named)
