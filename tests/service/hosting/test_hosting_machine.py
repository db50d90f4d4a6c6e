"""Any order of loads, swaps, reloads, unloads, failures and requests: what is served is what it should be, a
request is answered by what was served when it came, and engines that nobody may use any more have ended."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.engine.errors import EngineDraining
from service.engine.network_plan import PlanError
from service.engine.request import SegmentRequest
from service.errors import ChangeInProgress, LastModel, ModelNotLoaded, ModelServed
from service.hosting.bundle_folders import FoundBundle
from service.hosting.change import Change
from service.jobs import TranslationJob
from service.translator import Translator
from tests.fakes import FakeEngine, FakeEvents
from tests.service.hosting.pretended import PretendedStart, pretended
from tests.service.turns import until

FOLDERS = {"a": "en-de", "b": "en-de", "c": "en-fr", "d": "en-it"}  # and the names of their bundles
NAMES = sorted(set(FOLDERS.values()))


class MortalEngine(FakeEngine):
    """Takes nothing once it is closed, and says by which bundle it translates."""

    def __init__(self, bundle: FoundBundle) -> None:
        super().__init__(lambda text: text + bundle.version)

    def submit(self, request: SegmentRequest) -> FakeEvents:
        if self.is_closed:
            raise EngineDraining
        return super().submit(request)


@dataclass
class Held:
    """A request that has come and does nothing yet. `came` is a count of steps."""

    came: int
    stack: ExitStack
    translator: Translator
    served: dict[str, str]


class HostingMachine(RuleBasedStateMachine):
    """`served` maps names to versions, as it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.steps = 0
        self.held: list[Held] = []
        self.changing: dict[str, tuple[Change, PretendedStart]] = {}
        self.going: dict[int, list[int]] = {}  # engines, by the step at which they were told to go

    @initialize()
    def begin(self) -> None:
        self.stage = pretended("en-de", engine=MortalEngine)
        self.stage.at_once = False
        self.served = {"en-de": "1"}
        self.serving = {"en-de": self.stage.starts[0]}
        for folder, name in FOLDERS.items():
            self.stage.folders.put(folder, name, "0")
        self.open: list[tuple[PretendedStart, int]] = []  # that go, and since when

    def teardown(self) -> None:
        for held in self.held:
            held.stack.close()
        for _, start in self.changing.values():
            start.let()
        self.loop.run_until_complete(self._all_ended())
        self.loop.close()

    async def _all_ended(self) -> None:
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    def wait(self, coroutine):  # type: ignore[no-untyped-def]
        return self.loop.run_until_complete(coroutine)

    @rule(folder=st.sampled_from(sorted(FOLDERS)))
    def put(self, folder: str) -> None:
        self.steps += 1
        self.stage.folders.put(folder, FOLDERS[folder], f"v{self.steps}")

    @rule(folder=st.sampled_from(sorted(FOLDERS)), mode=st.sampled_from(["none", "beside"]))
    def load(self, folder: str, mode: str) -> None:
        name = FOLDERS[folder]
        try:
            change = self.wait(self.stage.hosting.load(folder, mode))
        except ChangeInProgress:
            assert name in self.busy()
        except ModelServed:
            assert (name in self.served, mode) == (True, "none")
        else:
            assert name not in self.served or mode == "beside"
            self._begun(name, change)

    @rule(name=st.sampled_from(NAMES))
    def reload(self, name: str) -> None:
        served = self.stage.hosting.instances.serving_of(name)
        if served is not None and served.bundle.folder == "en-de":  # whose bundle nobody replaces
            return
        try:
            change = self.wait(self.stage.hosting.reload(name))
        except ChangeInProgress:
            assert name in self.busy()
        except ModelNotLoaded:
            assert name not in self.served
        else:
            self._begun(name, change)

    def _begun(self, name: str, change: Change) -> None:
        number = len(self.stage.starts)
        self.wait(until(lambda: len(self.stage.starts) == number + 1 or self._start_of(change) is not None))
        start = self._start_of(change)
        assert start is not None
        self.changing[name] = (change, start)

    def _start_of(self, change: Change) -> PretendedStart | None:
        taken = [start for _, start in self.changing.values()] + list(self.serving.values())
        taken += [start for start, _ in self.open]
        fitting = [one for one in self.stage.starts if one.bundle is change.instance.bundle]
        return next((one for one in fitting if one not in taken and not one.engine.is_closed), None)

    @precondition(lambda self: self.changing)
    @rule(data=st.data(), succeeds=st.booleans())
    def let(self, data: st.DataObject, succeeds: bool) -> None:
        self.steps += 1
        name = data.draw(st.sampled_from(sorted(self.changing)))
        change, start = self.changing.pop(name)
        start.let(None if succeeds else PlanError("no"))
        assert change.task is not None
        self.wait(change.task)
        assert (change.error is None) == succeeds
        if succeeds:
            if name in self.serving:
                self.open.append((self.serving[name], self.steps))
            self.serving[name], self.served[name] = start, start.bundle.version

    @rule(name=st.sampled_from(NAMES))
    def unload(self, name: str) -> None:
        self.steps += 1
        try:
            self.wait(self._unload(name))
        except ChangeInProgress:
            assert name in self.busy()
        except ModelNotLoaded:
            assert name not in self.served
        except LastModel:
            assert list(self.served) == [name]
        else:
            self.open.append((self.serving.pop(name), self.steps))
            del self.served[name]

    async def _unload(self, name: str) -> None:
        self.stage.hosting.unload(name)

    @rule()
    def come(self) -> None:
        """A request arrives, and takes its time."""
        self.steps += 1
        stack = ExitStack()
        stack.enter_context(self.stage.lifecycle.request())
        translator = self.stage.lifecycle.require_translator()
        self.held.append(Held(self.steps, stack, translator, dict(self.served)))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """It is answered by any of the models that were served when it came."""
        held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        name = data.draw(st.sampled_from(sorted(held.served)))
        assert self.wait(self._translated(held.translator, name)) == f"One.{held.served[name]}"
        held.stack.close()

    async def _translated(self, translator: Translator, name: str) -> str:
        job = TranslationJob(texts=("One.",), options={}, source="en", model=name)
        with await translator.start(job) as running:
            return (await running.result()).texts[0].candidates[0].text

    def busy(self) -> set[str]:
        """Names that are being loaded, or unloaded while somebody still uses them."""
        draining = {one.name for one in self.stage.hosting.instances.all() if one.state == "draining"}
        return set(self.changing) | draining

    @invariant()
    def what_is_served_is_what_should_be(self) -> None:
        if not hasattr(self, "stage"):
            return
        translator = self.stage.lifecycle.require_translator()
        assert {model.name: model.version for model in translator.registry.models} == self.served
        assert {one.name: one.bundle.version for one in self.stage.hosting.instances.serving()} == self.served

    @invariant()
    def an_engine_ends_when_nobody_may_use_it_and_not_before(self) -> None:
        if not hasattr(self, "stage"):
            return
        used = [start for start, since in self.open if any(held.came < since for held in self.held)]
        alive = {*self.serving.values(), *used, *(start for _, start in self.changing.values())}
        self.wait(until(lambda: {one for one in self.stage.starts if not one.engine.is_closed} <= alive))
        assert not any(start.engine.is_closed for start in alive)
        self.open = [(start, since) for start, since in self.open if start in used]
        self.wait(until(lambda: len(self.stage.hosting.instances.in_memory()) == len(alive)))


TestHosting = HostingMachine.TestCase
TestHosting.settings = settings(max_examples=30, stateful_step_count=25)
