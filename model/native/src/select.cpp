// The likeliest tokens of every row, and one step of plain beams, from the logits that a step has left.
//
// Knows: logits, their log-sum-exp and their largest by block, running sums. Must not know: how logits come about,
// histories, options, when a search ends. Answers what `model.top_tokens` and `model.beam_step` say, to the last
// bit: a log-probability is logit - log_sum in float32, compared after the subtraction; of equals the lower token
// comes first, of equal sums the lower row. One call at a time for the same logits.
// Shapes: R rows, V vocabulary, U beams, K tokens looked at.
#include "select.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "simd.h"

namespace verto::select {

constexpr int BLOCK = 64;  // tokens whose largest logit is told together
constexpr float NEVER = -std::numeric_limits<float>::infinity();

struct Token {
  float log_prob;
  int64_t id;
};

// The scores of R rows, which may be some of all that the step had.
struct Rows {
  const StepLogits& given;

  int64_t blocks() const { return (given.vocabulary + BLOCK - 1) / BLOCK; }
  int64_t place(int64_t row) const { return given.chosen ? given.chosen[row] : row; }
  float log_sum_of(int64_t row) const { return given.log_sums[place(row)]; }
  float* logits_of(int64_t row) const { return given.logits + place(row) * given.vocabulary; }
  float* block_max_of(int64_t row) const { return given.block_max + place(row) * blocks(); }
};

// Calls found(place) for each of `count` numbers that, less `shift`, is at least `floor`, in their order.
template <class Found>
inline void each_at_least(const float* values, int64_t count, float shift, float floor, const Found& found) {
  for (int64_t first = 0; first < count; first += LANES) {
    const int left = static_cast<int>(std::min<int64_t>(LANES, count - first));
    const F16 some = left == LANES ? load(values + first) : load_some(values + first, left);
    uint32_t bits = at_least(some - splat(shift), splat(floor)) & ((1u << left) - 1);
    for (; bits != 0; bits &= bits - 1) found(first + __builtin_ctz(bits));
  }
}

// The largest of `count` numbers; not-a-number is none of them.
inline float largest_of(const float* values, int64_t count) {
  F16 most = splat(NEVER);
  for (int64_t first = 0; first < count; first += LANES) {
    const int left = static_cast<int>(std::min<int64_t>(LANES, count - first));
    most = max(left == LANES ? load(values + first) : keep_first(load_some(values + first, left), left, most), most);
  }
  return largest(most);
}

// While it lives, barred tokens have the logit -inf, and the largest of their blocks are right.
class Barred {
 public:
  explicit Barred(const Rows& rows) {
    const int64_t count = rows.given.num_barred, *pairs = rows.given.barred;
    undo_.reserve(2 * static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) bar(rows, pairs[i], pairs[count + i]);
  }
  ~Barred() {
    for (auto one = undo_.rbegin(); one != undo_.rend(); ++one) *one->place = one->value;
  }
  Barred(const Barred&) = delete;
  Barred& operator=(const Barred&) = delete;

 private:
  struct Change {
    float* place;
    float value;
  };

  void change(float* place, float value) {
    undo_.push_back({place, *place});
    *place = value;
  }

  void bar(const Rows& rows, int64_t row, int64_t token) {
    float* logits = rows.logits_of(row);
    change(logits + token, NEVER);
    const int64_t block = token / BLOCK, first = block * BLOCK;
    const int64_t end = std::min<int64_t>(first + BLOCK, rows.given.vocabulary);
    change(rows.block_max_of(row) + block, largest_of(logits + first, end - first));
  }

  std::vector<Change> undo_;
};

// The best `count` tokens of a row, found without looking at most of its blocks: `count` blocks whose largest are at
// least as high as some floor hold so many tokens that are, so a block below it holds none of the best.
class Finder {
 public:
  explicit Finder(int64_t count) : count_(count) { best_.reserve(count); }

  const std::vector<Token>& find(const Rows& rows, int64_t row) {
    const float log_sum = rows.log_sum_of(row);
    best_.clear();
    if (!std::isfinite(log_sum)) {
      for (int64_t id = 0; id < count_; ++id) best_.push_back({std::nanf(""), id});
      return best_;
    }
    const float *logits = rows.logits_of(row), *block_max = rows.block_max_of(row);
    const float floor = floor_of(block_max, rows.blocks()) - log_sum;
    each_at_least(block_max, rows.blocks(), log_sum, floor, [&](int64_t block) {
      const int64_t first = block * BLOCK, count = std::min<int64_t>(BLOCK, rows.given.vocabulary - first);
      each_at_least(logits + first, count, log_sum, floor, [&](int64_t place) {
        insert({logits[first + place] - log_sum, first + place});
      });
    });
    return best_;
  }

 private:
  // What the largest of `count` blocks reach; -inf where there are fewer blocks.
  float floor_of(const float* block_max, int64_t blocks) {
    if (blocks < count_) return NEVER;
    highest_.assign(block_max, block_max + blocks);
    if (count_ <= LANES && blocks > LANES) {  // sixteen blocks of which each is the highest of some will do
      for (int64_t i = LANES; i < blocks; ++i) highest_[i % LANES] = std::max(highest_[i % LANES], highest_[i]);
      highest_.resize(LANES);
    }
    const auto place = highest_.begin() + (count_ - 1);
    std::nth_element(highest_.begin(), place, highest_.end(), std::greater<float>());
    return *place;
  }

  // Ids come in their order, so an equal one goes behind those that are there.
  void insert(Token token) {
    if (static_cast<int64_t>(best_.size()) == count_) {
      if (!(token.log_prob > best_.back().log_prob)) return;
      best_.pop_back();
    }
    auto place = best_.end();
    while (place != best_.begin() && token.log_prob > (place - 1)->log_prob) --place;
    best_.insert(place, token);
  }

  int64_t count_;
  std::vector<Token> best_;
  std::vector<float> highest_;
};

struct Candidate {
  double total;
  int64_t row;
  int64_t id;
  float log_prob;
};

// Writes a step of beams where `BeamsOut` says.
class Writer {
 public:
  Writer(int64_t rows, int64_t beams, const BeamsOut& out)
      : rows_(rows), by_beam_(out.numbers + 2 * rows), beams_(beams), out_(out), num_ends_(out.places + 4 * rows) {
    *num_ends_ = 0;
  }

  void go_on(int64_t row, const Candidate& one) {
    out_.numbers[row] = one.total, out_.numbers[rows_ + row] = one.log_prob;
    out_.places[row] = one.row, out_.places[rows_ + row] = one.id;
  }
  void end(int64_t beam, const Candidate& one) {
    const int64_t place = (*num_ends_)++;
    by_beam_[2 * beams_ + place] = one.total;
    out_.places[2 * rows_ + place] = beam, out_.places[3 * rows_ + place] = one.row;
  }
  double& best_live(int64_t beam) { return by_beam_[beam]; }
  double& highest(int64_t beam) { return by_beam_[beams_ + beam]; }

 private:
  int64_t rows_;
  double* by_beam_;
  int64_t beams_;
  BeamsOut out_;
  int64_t* num_ends_;
};

// A row of a beam whose candidates come best first: the next of them.
struct Head {
  const Token* next;
  const Token* end;
};

class Beams {
 public:
  Beams(const Rows& rows, int64_t widest, const double* sums, int64_t eos_id, Writer& out)
      : rows_(rows), sums_(sums), eos_id_(eos_id), out_(out),
        per_row_(std::min(2 * widest, rows.given.vocabulary)), finder_(per_row_), tokens_(widest * per_row_),
        heads_(widest) {}

  void extend(int64_t beam, int64_t first_row, int64_t width) {
    const bool fails = look(first_row, width);
    Candidate one{};
    int64_t rank = 0, living = 0;
    out_.highest(beam) = out_.best_live(beam) = NEVER;
    while (rank < 2 * width && next(first_row, width, one)) {
      if (rank == 0) out_.highest(beam) = one.total;
      if (one.id == eos_id_) {
        if (rank < width) out_.end(beam, one);
      } else if (living < width) {
        if (living == 0) out_.best_live(beam) = one.total;
        out_.go_on(first_row + living++, one);
      }
      ++rank;
    }
    for (; living < width; ++living) out_.go_on(first_row + living, {NEVER, first_row + living, eos_id_, NEVER});
    if (fails) out_.highest(beam) = std::nan("");
  }

 private:
  // The likeliest tokens of the beam's rows; whether some row's are no numbers.
  bool look(int64_t first_row, int64_t width) {
    bool fails = false;
    for (int64_t slot = 0; slot < width; ++slot) {
      Token* place = tokens_.data() + slot * per_row_;
      heads_[slot] = {place, place};
      fails |= !std::isfinite(rows_.log_sum_of(first_row + slot));
      if (!(sums_[first_row + slot] > NEVER)) continue;  // no beam is on it, so that nothing comes of its tokens
      const std::vector<Token>& best = finder_.find(rows_, first_row + slot);
      heads_[slot].end = std::copy(best.begin(), best.end(), place);
    }
    return fails;
  }

  // The best candidate that is left, of equals that of the lower row; false when none is possible.
  bool next(int64_t first_row, int64_t width, Candidate& one) {
    one.total = NEVER;
    Head* from = nullptr;
    for (int64_t slot = 0; slot < width; ++slot) {
      Head& head = heads_[slot];
      if (head.next == head.end) continue;
      const double total = sums_[first_row + slot] + static_cast<double>(head.next->log_prob);
      if (!(total > one.total)) continue;
      one = {total, first_row + slot, head.next->id, head.next->log_prob};
      from = &head;
    }
    if (from) ++from->next;
    return from != nullptr;
  }

  const Rows& rows_;
  const double* sums_;
  int64_t eos_id_;
  Writer& out_;
  int64_t per_row_;
  Finder finder_;
  std::vector<Token> tokens_;  // [widest, K]
  std::vector<Head> heads_;
};

void top(const StepLogits& given, int64_t count, float* values, int64_t* tokens) {
  const Rows rows{given};
  const Barred barred(rows);
  Finder finder(count);
  for (int64_t row = 0; row < given.rows; ++row)
    for (const Token& token : finder.find(rows, row)) *values++ = token.log_prob, *tokens++ = token.id;
}

void extend_beams(const StepLogits& given, const BeamsIn& in, const BeamsOut& out) {
  const Rows rows{given};
  const Barred barred(rows);
  Writer writer(given.rows, in.beams, out);
  Beams beams(rows, *std::max_element(in.widths, in.widths + in.beams), in.sums, in.eos_id, writer);
  for (int64_t beam = 0, first_row = 0; beam < in.beams; first_row += in.widths[beam++])
    beams.extend(beam, first_row, in.widths[beam]);
}

}  // namespace verto::select
