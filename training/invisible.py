"""Characters that our vocabularies leave nothing of: nobody sees them, and no model is to learn them.

Knows: Unicode. Must not know: corpora, vocabularies.
"""

from __future__ import annotations

# Soft hyphen, zero-width space, byte order mark; joiners are not among them: they change what is seen.
INVISIBLE = "\u00ad\u200b\ufeff"
CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))  # all of category Cc
