"""Places are taken and given back; what stands in them is that of their tenants, as plain lists say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model.places import PlacedStore, Places


class PlacesMachine(RuleBasedStateMachine):
    """Any order of taking and giving back, against a list of booleans."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = [True] * 3 + [False] * 5
        self.places = Places(8, 3)

    @rule(count=st.integers(0, 8))
    def take(self, count: int) -> None:
        free = [place for place, is_taken in enumerate(self.taken) if not is_taken]
        if count > len(free):
            with pytest.raises(ValueError, match=f"{count} places are asked for, {len(free)} are free"):
                self.places.take(count)
            return
        assert self.places.take(count) == free[:count]
        for place in free[:count]:
            self.taken[place] = True

    @rule(places=st.sets(st.integers(-1, 8)))
    def give_back(self, places: set[int]) -> None:
        if not all(0 <= place < 8 and self.taken[place] for place in places):
            with pytest.raises(ValueError, match="not taken"):
                self.places.give_back(sorted(places))
            return
        self.places.give_back(sorted(places))
        for place in places:
            self.taken[place] = False

    @rule(data=st.data())
    @precondition(lambda self: any(self.taken))
    def give_back_some(self, data: st.DataObject) -> None:
        taken = [place for place, is_taken in enumerate(self.taken) if is_taken]
        self.give_back(data.draw(st.sets(st.sampled_from(taken), min_size=1)))

    @invariant()
    def free_and_taken_are_all(self) -> None:
        end = max((place + 1 for place, is_taken in enumerate(self.taken) if is_taken), default=0)
        assert self.places.num_free + sum(self.taken) == self.places.num_places
        assert self.places.end == end
        assert self.places.num_holes == end - sum(self.taken)


TestPlacesMachine = PlacesMachine.TestCase


class StoreMachine(RuleBasedStateMachine):
    """Any order of joining, leaving, reordering and moving, against one number and its length for each."""

    def __init__(self) -> None:
        super().__init__()
        self.next, self.expected = 1, list[tuple[int, int]]()
        self.store = self.new_store(3, 2)

    def new_store(self, count: int, room: int) -> PlacedStore:
        numbers = list(range(self.next, self.next + count))
        self.next += count
        self.expected += [(number, room) for number in numbers]
        keys = torch.tensor(numbers)[None, :, None, None, None].expand(2, count, 1, room, 1).clone()
        return PlacedStore(keys, -keys)

    @rule(count=st.integers(1, 3), room=st.integers(0, 3), spare=st.integers(0, 2))
    def join(self, count: int, room: int, spare: int) -> None:
        if self.store.num_free < count or room > self.store.room:
            self.store.move(self.store.num_tenants + count + spare, max(room, self.store.room))
        self.store.join(self.new_store(count, room))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        count = len(self.expected)
        gone = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
        self.store.leave(torch.tensor(gone, dtype=torch.bool))
        self.expected = [one for one, is_gone in zip(self.expected, gone, strict=True) if not is_gone]

    @rule(data=st.data())
    @precondition(lambda self: self.expected)
    def reorder(self, data: st.DataObject) -> None:
        count = len(self.expected)
        parents = data.draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))
        self.store.reorder(torch.tensor(parents))
        self.expected = [self.expected[parent] for parent in parents]

    @rule(spare=st.integers(0, 2), room=st.integers(3, 4))
    def move(self, spare: int, room: int) -> None:
        self.store.move(self.store.num_tenants + spare, room)
        assert self.store.place_of.tolist() == list(range(len(self.expected)))
        assert (self.store.room, self.store.num_places) == (room, len(self.expected) + spare)

    @invariant()
    def every_tenant_finds_its_own_and_nothing_of_a_former_one_behind_it(self) -> None:
        room = self.store.room
        expected = [[number] * length + [0] * (room - length) for number, length in self.expected]
        for store, sign in ((self.store.keys, 1), (self.store.values, -1)):
            found = sign * store[:, self.store.place_of, 0, :, 0]
            assert found.tolist() == [expected] * 2

    @invariant()
    def every_place_knows_its_tenant(self) -> None:
        tenants = dict(enumerate(self.store.place_of.tolist()))
        expected = [0] * self.store.end
        for tenant, place in tenants.items():
            expected[place] = tenant
        assert self.store.tenant_at.tolist() == expected


TestStoreMachine = StoreMachine.TestCase
TestPlacesMachine.settings = TestStoreMachine.settings = settings(max_examples=50, stateful_step_count=16)
