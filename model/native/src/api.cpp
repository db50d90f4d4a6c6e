// The library's functions, as model/native/binding.py calls them: handles, plain numbers, codes for failures.
//
// Knows: how a call is checked and how its failure is told. Must not know: how anything is computed.
// A call returns 0, or a code and a text for the calling thread. No exception leaves the library.
#include <exception>
#include <string>

#include "check.h"
#include "network.h"
#include "select.h"

using namespace verto;

#define VERTO_API extern "C" __attribute__((visibility("default")))

namespace {

constexpr int ABI_VERSION = 1;
constexpr int MOST_INT8_INPUTS = 66310;  // 255 x 127 x so many still fit 32 bits
enum Code { FINE = 0, FAILED = 1, OVERFLOWED = 2, BAD_TOKEN = 3, BAD_VALUE = 4, NO_MEMORY = 5 };

thread_local std::string last_error;

int fail(Code code, std::string text) {
  last_error = std::move(text);
  return code;
}

template <class Work>
int guarded(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return fail(NO_MEMORY, "not enough memory");
  } catch (const std::exception& error) {
    return fail(FAILED, error.what());
  }
}


// Index of the first token that is none of the vocabulary's, or -1.
int first_unknown(const int64_t* ids, int count, int vocabulary) {
  for (int i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary) return i;
  return -1;
}

int bad_token(int64_t id, int vocabulary) {
  return fail(BAD_TOKEN, "token id " + std::to_string(id) + " is not in 0.." + std::to_string(vocabulary - 1));
}

// Where a matrix goes, in the order of `MATRICES` in binding.py.
Matrix* matrix_of(Network& n, int which, int layer) {
  if (which == 11) return &n.output;
  const bool in_encoder = which < 4;
  if (layer < 0 || layer >= (in_encoder ? n.sizes.encoder_layers : n.sizes.decoder_layers)) return nullptr;
  if (in_encoder) {
    EncoderLayer& l = n.encoder[layer];
    Matrix* all[] = {&l.qkv, &l.joined, &l.inner, &l.outer};
    return all[which];
  }
  DecoderLayer& l = n.decoder[layer];
  Matrix* all[] = {&l.qkv, &l.joined, &l.query, &l.source, &l.source_joined, &l.inner, &l.outer};
  return which < 11 ? all[which - 4] : nullptr;
}

// In the order of `NORMS` in binding.py.
Norm* norm_of(Network& n, int which, int layer) {
  if (which == 5) return &n.encoder_norm;
  if (which == 6) return &n.decoder_norm;
  if (which == 7) return &n.source.norm;
  if (which == 8) return &n.target.norm;
  if (layer < 0 || layer >= (which < 2 ? n.sizes.encoder_layers : n.sizes.decoder_layers)) return nullptr;
  if (which < 2) return which == 0 ? &n.encoder[layer].after_self : &n.encoder[layer].after_feed;
  Norm* all[] = {&n.decoder[layer].after_self, &n.decoder[layer].after_cross, &n.decoder[layer].after_feed};
  return which < 5 ? all[which - 2] : nullptr;
}

}  // namespace

VERTO_API int verto_abi_version() { return ABI_VERSION; }
VERTO_API const char* verto_level() { return VERTO_LEVEL; }
VERTO_API const char* verto_last_error() { return last_error.c_str(); }
VERTO_API int verto_self_check() {
  return guarded([] { return check_products(); });
}

VERTO_API int verto_network_new(const Sizes* sizes, void** out) {
  return guarded([&]() -> int {
    if (!may_use_tiles()) return fail(BAD_VALUE, "the kernel does not let this process use tile registers (AMX)");
    return *out = new Network(*sizes), FINE;
  });
}

VERTO_API void verto_network_free(void* network) { delete static_cast<Network*>(network); }

VERTO_API int64_t verto_network_bytes(void* network) {
  return static_cast<int64_t>(static_cast<Network*>(network)->num_bytes());
}

VERTO_API int64_t verto_block_bytes(void* network) {
  return static_cast<int64_t>(static_cast<Network*>(network)->pool->block_bytes());
}

VERTO_API int verto_set_matrix(void* network, int which, int layer, const float* weights, const float* bias,
                               int outputs, int inputs) {
  return guarded([&]() -> int {
    Network& n = *static_cast<Network*>(network);
    Matrix* place = matrix_of(n, which, layer);
    if (place == nullptr) return fail(BAD_VALUE, "no such matrix");
    if (static_cast<Numbers>(n.sizes.numbers) == Numbers::int8 && inputs > MOST_INT8_INPUTS)
      return fail(BAD_VALUE, "int8 products take at most " + std::to_string(MOST_INT8_INPUTS) + " inputs, got " +
                                 std::to_string(inputs) + "; use float32 or bfloat16");
    *place = Matrix::pack(static_cast<Numbers>(n.sizes.numbers), outputs, inputs, weights, bias, n.arena);
    return FINE;
  });
}

VERTO_API int verto_set_norm(void* network, int which, int layer, const float* gain, const float* shift) {
  return guarded([&]() -> int {
    Network& n = *static_cast<Network*>(network);
    Norm* place = norm_of(n, which, layer);
    if (place == nullptr) return fail(BAD_VALUE, "no such norm");
    place->gain.assign(n.width, 0.0f), place->shift.assign(n.width, 0.0f);
    std::copy(gain, gain + n.sizes.d_model, place->gain.begin());
    std::copy(shift, shift + n.sizes.d_model, place->shift.begin());
    place->epsilon = n.sizes.epsilon;
    return FINE;
  });
}

// `which`: tokens and positions of the source, then of the target.
VERTO_API int verto_set_table(void* network, int which, const float* values, int rows) {
  return guarded([&]() -> int {
    Network& n = *static_cast<Network*>(network);
    Memory<float>* all[] = {&n.source.tokens, &n.source.positions, &n.target.tokens, &n.target.positions};
    *all[which] = Memory<float>(static_cast<size_t>(rows) * n.width);
    for (int row = 0; row < rows; ++row)
      std::copy(values + static_cast<size_t>(row) * n.sizes.d_model,
                values + static_cast<size_t>(row + 1) * n.sizes.d_model,
                all[which]->data() + static_cast<size_t>(row) * n.width);
    return FINE;
  });
}

VERTO_API int verto_open(void* network, const int64_t* ids, const int32_t* lengths, const int32_t* rows,
                         const int32_t* capacities, int segments, void** out) {
  return guarded([&]() -> int {
    Network& n = *static_cast<Network*>(network);
    int tokens = 0;
    for (int i = 0; i < segments; ++i) tokens += lengths[i];
    const int unknown = first_unknown(ids, tokens, n.sizes.source_vocabulary);
    if (unknown >= 0) return bad_token(ids[unknown], n.sizes.source_vocabulary);
    auto cache = std::make_unique<Cache>(n.pool);
    n.open(ids, lengths, rows, capacities, segments, *cache);
    *out = cache.release();
    return FINE;
  });
}

VERTO_API int verto_step(void* network, void* cache, const int64_t* token_ids, const StepResult* result) {
  return guarded([&]() -> int {
    Network& n = *static_cast<Network*>(network);
    Cache& c = *static_cast<Cache*>(cache);
    const int full = c.full_segment();
    if (full >= 0) {
      const Segment& segment = *c.segments()[full];
      return fail(OVERFLOWED, "segment " + std::to_string(full) + " holds " + std::to_string(segment.filled) +
                                  " positions, its capacity is " + std::to_string(segment.capacity));
    }
    const int count = static_cast<int>(c.rows().size());
    const int unknown = first_unknown(token_ids, count, n.sizes.target_vocabulary);
    if (unknown >= 0) return bad_token(token_ids[unknown], n.sizes.target_vocabulary);
    c.advance();
    try {
      n.step(token_ids, c, *result);
    } catch (...) {
      c.retreat();
      throw;
    }
    return FINE;
  });
}

VERTO_API void verto_cache_free(void* cache) { delete static_cast<Cache*>(cache); }

VERTO_API int64_t verto_cache_bytes(void* cache) {
  return static_cast<int64_t>(static_cast<Cache*>(cache)->num_bytes());
}

VERTO_API int verto_cache_reorder(void* cache, const int64_t* parents) {
  return guarded([&]() -> int {
    if (static_cast<Cache*>(cache)->reorder(parents)) return FINE;
    return fail(BAD_VALUE, "parents must be rows of the same segment");
  });
}

VERTO_API int verto_cache_keep(void* cache, const uint8_t* kept) {
  return guarded([&] { return static_cast<Cache*>(cache)->keep(kept), FINE; });
}

VERTO_API int verto_cache_join(void* cache, void* other) {
  return guarded([&]() -> int {
    if (static_cast<Cache*>(cache)->join(*static_cast<Cache*>(other))) return FINE;
    return fail(BAD_VALUE, "a cache can only be joined by one of the same network");
  });
}

VERTO_API int verto_top(const select::StepLogits* given, int64_t count, float* values, int64_t* tokens) {
  return guarded([&] {
    select::top(*given, count, values, tokens);
    return FINE;
  });
}

VERTO_API int verto_extend_beams(const select::StepLogits* given, const select::BeamsIn* in,
                                 const select::BeamsOut* out) {
  return guarded([&] {
    select::extend_beams(*given, *in, *out);
    return FINE;
  });
}
