// Sixteen numbers at a time, on three instruction-set levels with one set of names.
//
// Knows: registers and instructions. Must not know: matrices, layers, threads.
// Every function gives the same bits wherever it is inlined: products are fused into sums only where `fma`
// says so (the build sets -ffp-contract=off), and horizontal sums have one order. The levels differ from each
// other in their last bits (the generic one has no fused product), which nobody is promised.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && \
    defined(__AVX512VNNI__)
#define VERTO_AVX512 1
#if defined(__AMX_TILE__) && defined(__AMX_INT8__) && defined(__AMX_BF16__)
#define VERTO_AMX 1
#define VERTO_LEVEL "amx"
#else
#define VERTO_LEVEL "avx512vnni"
#endif
#elif defined(__AVX2__) && defined(__FMA__)
#define VERTO_AVX2 1
#define VERTO_LEVEL "avx2"
#else
#define VERTO_GENERIC 1
#define VERTO_LEVEL "generic"
#endif

#ifndef VERTO_GENERIC
#include <immintrin.h>
#endif

namespace verto {

constexpr int LANES = 16;  // floats of one F16

#if defined(VERTO_AVX512)
#include "simd_avx512.inc"
#elif defined(VERTO_AVX2)
#include "simd_avx2.inc"
#else
#include "simd_generic.inc"
#endif

inline F16 operator+(F16 a, F16 b) { return add(a, b); }
inline F16 operator-(F16 a, F16 b) { return sub(a, b); }
inline F16 operator*(F16 a, F16 b) { return mul(a, b); }
inline F16 operator/(F16 a, F16 b) { return div(a, b); }

// e^x to about 1 unit in the last place; below -87 and above 88 it is what it is there, so that no result is
// denormal (those are slow) and n fits an exponent; not-a-number stays so. 2^n times a polynomial of the rest.
inline F16 exp(F16 x) {
  const F16 clamped = min(splat(88.0f), max(splat(-87.0f), x));  // x second: not-a-number passes through
  const F16 n = round(clamped * splat(1.44269504088896341f));
  F16 rest = fma(n, splat(-0.693359375f), clamped);
  rest = fma(n, splat(2.12194440e-4f), rest);
  F16 p = splat(1.9875691500e-4f);
  p = fma(p, rest, splat(1.3981999507e-3f));
  p = fma(p, rest, splat(8.3334519073e-3f));
  p = fma(p, rest, splat(4.1665795894e-2f));
  p = fma(p, rest, splat(1.6666665459e-1f));
  p = fma(p, rest, splat(5.0000001201e-1f));
  p = fma(p, rest * rest, rest + splat(1.0f));
  return scale_by_power(p, n);
}

// 2^(n + f) for n from -126 to 127 and f from -1/2 to 1/2, to 2e-7 of it.
inline F16 power_of_two(F16 n, F16 f) {
  F16 p = fma(splat(1.3264727272e-03f), f, splat(9.6715127561e-03f));
  p = fma(p, f, splat(5.5507337441e-02f));
  p = fma(p, f, splat(2.4022242084e-01f));
  p = fma(p, f, splat(6.9314697760e-01f));
  return scale_by_power(fma(p, f, splat(1.0f)), n);
}

// e^x for x up to 80; below -86 it is what it is there. Not-a-number stays so. The rest of x log2(e) is taken
// in one rounding, so that it is as good far from zero as it is near it.
inline F16 exp_below_80(F16 x) {
  const F16 clamped = max(splat(-86.0f), x), scale = splat(1.44269504088896341f);  // x second: see `exp`
  const F16 n = round(clamped * scale);
  return power_of_two(n, fms(clamped, scale, n));
}

// e^x for the x <= 0 of softmax, to 2e-7 of its larger results: fewer steps than `exp`. Not-a-number stays so.
inline F16 exp_below_zero(F16 x) {
  const F16 t = max(splat(-125.0f), x * splat(1.44269504088896341f));  // t second: not-a-number passes through
  const F16 n = round(t);
  return power_of_two(n, t - n);
}

// The error function to 1.5e-7 (Abramowitz and Stegun 7.1.26).
inline F16 erf(F16 x) {
  const F16 size = abs(x);
  const F16 t = splat(1.0f) / fma(splat(0.3275911f), size, splat(1.0f));
  F16 p = splat(1.061405429f);
  p = fma(p, t, splat(-1.453152027f));
  p = fma(p, t, splat(1.421413741f));
  p = fma(p, t, splat(-0.284496736f));
  p = fma(p, t, splat(0.254829592f));
  const F16 positive = splat(1.0f) - p * t * exp(splat(0.0f) - size * size);
  return with_sign_of(positive, x);
}

#if defined(VERTO_AVX512)
// Lane i of the answer is the sum of parts[i]: half of the additions of sixteen single sums, or fewer.
inline F16 sum_each(const F16 (&parts)[LANES]) {
  __m512 a[8];
  for (int i = 0; i < 8; ++i) {
    const __m512 x = parts[i].v, y = parts[i + 8].v;
    a[i] = _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x44), _mm512_shuffle_f32x4(x, y, 0xEE));
  }
  __m512 b[4];
  for (int i = 0; i < 4; ++i)
    b[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a[i], a[i + 4], 0x88), _mm512_shuffle_f32x4(a[i], a[i + 4], 0xDD));
  __m512 c[2];
  for (int i = 0; i < 2; ++i)
    c[i] = _mm512_add_ps(_mm512_unpacklo_ps(b[i], b[i + 2]), _mm512_unpackhi_ps(b[i], b[i + 2]));
  const __m512 all = _mm512_add_ps(_mm512_unpacklo_ps(c[0], c[1]), _mm512_unpackhi_ps(c[0], c[1]));
  // The quarters hold the parts 0..3, 8..11, 4..7, 12..15.
  const __m512i order = _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15);
  return {_mm512_permutexvar_ps(order, all)};
}
#else
// Lane i of the answer is the sum of parts[i].
inline F16 sum_each(const F16 (&parts)[LANES]) {
  float sums[LANES];
  for (int i = 0; i < LANES; ++i) sums[i] = sum(parts[i]);
  return load(sums);
}
#endif

}  // namespace verto
