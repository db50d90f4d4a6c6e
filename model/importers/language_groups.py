"""Codes that stand for a group of languages, as multilingual folders name a side: no text is in one of them.

Knows: the codes. Must not know: files, which languages belong to a group.
"""

from __future__ import annotations

import re

# Of ISO 639-5, those that public models name a side by; `ber` and `bih` are left out, which some of them use
# as a language's own code. `mul`, `und`, `mis` and `zxx` are ISO 639-2's.
_COLLECTIVE = """
aav afa alg alv apa art ath aus awd bad bai bat bnt btk cai cau ccs cel cmc cpe cpf cpp crp cus day dra
esx euq fiu gem gmq gmw grk hmx iir inc ine ira iro itc jpx khi map mis mkh mul mun myn nai ngf nic nub
omv oto paa poz pqe pqw qwe roa sai sal sdv sem sgn sio sit sla smi sqj ssa tai tbq trk tup tut und urj
wak wen xgn zhx zle zls zlw znd zxx
"""
_NAME = re.compile("[A-Z]{4}")  # ROMANCE, NORTH_EU


def is_group(code: str) -> bool:
    """Whether a side that is called so holds several languages."""
    return code in _COLLECTIVE.split() or _NAME.match(code) is not None
