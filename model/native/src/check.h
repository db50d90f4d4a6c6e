// Small products of every precision against plain loops: whether this library computes rightly on this machine.
#pragma once

namespace verto {

// 0, or 1 + the number (see `Numbers`) of the first precision whose product is wrong.
int check_products();

}  // namespace verto
