// Rows times packed weights with products of whole tiles. See product_tiles.cpp.
#pragma once

#include "matrix.h"
#include "tiles.h"

#ifdef VERTO_TILES

namespace verto {

// Whether this product is for tiles. It never depends on rows where that would change a bit: whole numbers have one
// sum, however they are added; floats have not.
inline bool is_for_tiles(const Matrix& matrix, const Rows& rows) {
  constexpr int few = 4;  // rows that vectors multiply as fast
  return matrix.numbers != Numbers::int8 || rows.count > few;
}

void multiply_tiles(const Matrix& matrix, const Rows& rows, const Result& result, Threads& threads);

}  // namespace verto

#endif
