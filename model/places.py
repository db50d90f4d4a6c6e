"""Keys and values in numbered places: who leaves frees a place, who joins is written into a free one.

Knows: which places are taken, by whom, how long a place is. Must not know: rows, segments, steps, how much
memory may be held. Who holds a place is a tenant, numbered in the order that its owner knows.
Shapes: L layers, N tenants, P places, E places up to the last taken one, H heads, C positions of a place,
K head width.

    place      0   1   2   3   4   5   6   7        attention reads the places 0..E-1, here E is 6: to put
    tenant     0   ·   1   3   ·   2   ·   ·        queries in their order costs little, to move keys does
                   hole        hole    free         not. A hole is computed for nothing, its result dropped
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Places:
    """Which of the places 0..P-1 are free. The lowest are taken first: holes before the places at the end."""

    def __init__(self, num_places: int, num_taken: int) -> None:
        self.num_places = num_places
        self._free = list(range(num_taken, num_places))
        self.end = num_taken  # the first place after the last taken one

    @property
    def num_free(self) -> int:
        return len(self._free)

    @property
    def num_holes(self) -> int:
        """Free places before the last taken one."""
        return self.end - (self.num_places - self.num_free)

    def take(self, count: int) -> list[int]:
        """So many places, in ascending order. Raises `ValueError` when fewer are free."""
        if count > self.num_free:
            raise ValueError(f"{count} places are asked for, {self.num_free} are free")
        taken, self._free = self._free[:count], self._free[count:]
        self.end = max(self.end, *[place + 1 for place in taken[-1:]], 0)
        return taken

    def give_back(self, places: Sequence[int]) -> None:
        """These taken places are free again. Raises `ValueError` when one is not taken."""
        free = set(self._free)
        if free.intersection(places) or not free.union(places) <= set(range(self.num_places)):
            raise ValueError(f"of the places {list(places)} some are not taken")
        self._free = sorted(free.union(places))
        self.end = self.num_places
        for place in reversed(self._free):
            if place != self.end - 1:
                break
            self.end -= 1


class PlacedStore:
    """`keys` and `values` [L, P, H, C, K], of which `place_of` [N] says where each tenant's lie.

    Behind what a tenant has written, its place holds numbers that a mask can hide: zeros, or what a later
    position overwrites. So a former tenant's infinities reach nobody.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        """Every place has its tenant."""
        self.keys, self.values = keys, values
        self._settle(keys.shape[1])

    def _settle(self, num_tenants: int) -> None:
        """Tenants stand at the front, in their order."""
        self._places = Places(self.keys.shape[1], num_tenants)
        self._set_places(torch.arange(num_tenants, device=self.keys.device))

    def _set_places(self, place_of: Tensor) -> None:
        """`tenant_at` [E] is the inverse; a hole says tenant 0, of whom it may compute something."""
        self.place_of = place_of
        self.tenant_at = place_of.new_zeros(self.end)
        self.tenant_at[place_of] = torch.arange(len(place_of), device=place_of.device)

    @property
    def num_tenants(self) -> int:
        return len(self.place_of)

    @property
    def room(self) -> int:
        """Positions of a place."""
        return self.keys.shape[3]

    @property
    def end(self) -> int:
        return self._places.end

    @property
    def num_free(self) -> int:
        return self._places.num_free

    @property
    def num_holes(self) -> int:
        return self._places.num_holes

    @property
    def num_places(self) -> int:
        return self._places.num_places

    @property
    def num_positions(self) -> int:
        """Positions held, taken or not."""
        return self.num_places * self.room

    @property
    def num_bytes(self) -> int:
        return sum(store.numel() * store.element_size() for store in (self.keys, self.values))

    def leave(self, gone: Tensor) -> None:
        """Free the places of tenants where `gone` [N] (boolean) is True; the others close ranks by number."""
        self._places.give_back(self.place_of[gone].tolist())
        self._set_places(self.place_of[~gone])

    def join(self, other: PlacedStore) -> None:
        """The other's tenants after these. The caller has seen to enough free places, long enough ones."""
        places = torch.tensor(self._places.take(other.num_tenants), dtype=torch.long).to(self.place_of.device)
        for store, theirs in ((self.keys, other.keys), (self.values, other.values)):
            store[:, :, :, other.room :].index_fill_(1, places, 0)
            if other.room:
                store[:, :, :, : other.room].index_copy_(1, places, theirs.index_select(1, other.place_of))
        self._set_places(torch.cat((self.place_of, places)))

    def reorder(self, parents: Tensor) -> None:
        """Tenant n continues what tenant `parents[n]` [N] held.

        A parent's place goes to its first child; only further children are copied, to the places of those
        who have none. There are as many of these, and in ascending order they stand group by group, where
        parents stay within a group.
        """
        tenants = torch.arange(self.num_tenants, device=parents.device)
        childless = self.num_tenants
        first_child = torch.full_like(tenants, childless).scatter_reduce(0, parents, tenants, "amin")
        further = (first_child[parents] != tenants).nonzero()[:, 0]
        place_of = self.place_of[parents]
        if len(further):
            origins, targets = place_of[further], self.place_of[first_child == childless]
            for store in (self.keys, self.values):
                store.index_copy_(1, targets, store.index_select(1, origins))
            place_of[further] = targets
        self._set_places(place_of)

    def move(self, num_places: int, room: int) -> None:
        """Copy all tenants, in their order, to the front of so many places of so many positions.

        The one way to close holes, to grow and to shrink. Behind what is copied stand zeros.
        """
        self.keys, self.values = (self._moved(store, num_places, room) for store in (self.keys, self.values))
        self._settle(self.num_tenants)

    def _moved(self, store: Tensor, num_places: int, room: int) -> Tensor:
        # Whole stretches of memory: plain indexing copies value by value, at four to six times the cost.
        tenants = store.index_select(1, self.place_of)[:, :, :, :room]
        if tenants.shape[1] == num_places and store.shape[3] == room:
            return tenants
        moved = store.new_zeros(store.shape[0], num_places, store.shape[2], room, store.shape[4])
        moved[:, : self.num_tenants, :, : tenants.shape[3]] = tenants
        return moved
