// The likeliest tokens of every row, and one step of plain beams, from the logits that a step has left.
//
// Knows: logits, their log-sum-exp and their largest by block, running sums. Must not know: how logits come about,
// histories, options, when a search ends. Answers what `model.top_tokens` and `model.beam_step` say, to the last
// bit: a log-probability is logit - log_sum in float32, compared after the subtraction; of equals the lower token
// comes first, of equal sums the lower row. One call at a time for the same logits.
// Shapes: R rows, V vocabulary, U beams, K tokens looked at.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace verto::select {

constexpr int BLOCK = 64;  // tokens whose largest logit is told together
constexpr int LANE = 16;   // numbers that are compared together
constexpr float NEVER = -std::numeric_limits<float>::infinity();

struct Token {
  float log_prob;
  int64_t id;
};

// What a step has left: of all rows, and which of them are asked for (null: all).
struct Scores {
  float* logits;           // [all rows, V]
  const float* log_sums;   // [all rows]
  float* block_max;        // [all rows, V / 64 rounded up]
  int64_t vocabulary;
  const int64_t* chosen;   // [R]
  int64_t rows;            // R

  int64_t blocks() const { return (vocabulary + BLOCK - 1) / BLOCK; }
  int64_t place(int64_t row) const { return chosen ? chosen[row] : row; }
  float* logits_of(int64_t row) const { return logits + place(row) * vocabulary; }
  float* block_max_of(int64_t row) const { return block_max + place(row) * blocks(); }
};

// Whether any of `count` numbers, less `shift`, is above `floor`, or as high where equals count as well.
template <bool or_equal>
inline bool any_above(const float* values, int count, float shift, float floor) {
  int found = 0;
  const auto look = [&](int i) {
    const float value = values[i] - shift;
    found |= or_equal ? value >= floor : value > floor;
  };
  if (count == LANE) {
    for (int i = 0; i < LANE; ++i) look(i);  // a fixed number becomes one vector
  } else {
    for (int i = 0; i < count; ++i) look(i);
  }
  return found != 0;
}

// While it lives, barred tokens have the logit -inf, and the largest of their blocks are right.
class Barred {
 public:
  Barred(const Scores& scores, const int64_t* pairs, int64_t count) {
    undo_.reserve(2 * static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) bar(scores, pairs[i], pairs[count + i]);
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

  void bar(const Scores& scores, int64_t row, int64_t token) {
    float* logits = scores.logits_of(row);
    change(logits + token, NEVER);
    const int64_t block = token / BLOCK, first = block * BLOCK;
    const int64_t end = std::min<int64_t>(first + BLOCK, scores.vocabulary);
    change(scores.block_max_of(row) + block, *std::max_element(logits + first, logits + end));
  }

  std::vector<Change> undo_;
};

// The best `count` tokens of a row, found without looking at most of its blocks: those `count` blocks whose
// largest are the highest hold so many tokens at least as high, so a block below all of these holds none.
class Finder {
 public:
  explicit Finder(int64_t count) : count_(count) { best_.reserve(count), highest_.reserve(count); }

  const std::vector<Token>& find(const Scores& scores, int64_t row) {
    const float log_sum = scores.log_sums[scores.place(row)];
    best_.clear();
    if (!std::isfinite(log_sum)) {
      for (int64_t id = 0; id < count_; ++id) best_.push_back({std::nanf(""), id});
      return best_;
    }
    const float *logits = scores.logits_of(row), *block_max = scores.block_max_of(row);
    const int64_t blocks = scores.blocks();
    const float floor = floor_of(block_max, blocks, log_sum);
    for (int64_t first = 0; first < blocks; first += LANE) {
      const int lane = static_cast<int>(std::min<int64_t>(LANE, blocks - first));
      if (!any_above<true>(block_max + first, lane, log_sum, floor)) continue;
      for (int64_t block = first; block < first + lane; ++block)
        if (block_max[block] - log_sum >= floor) look_through(logits, scores.vocabulary, block, log_sum, floor);
    }
    return best_;
  }

 private:
  bool is_full() const { return static_cast<int64_t>(best_.size()) == count_; }

  // The `count`-th highest of the blocks' largest; -inf where there are fewer blocks.
  float floor_of(const float* block_max, int64_t blocks, float log_sum) {
    if (blocks < count_) return NEVER;
    highest_.assign(count_, NEVER);
    for (int64_t first = 0; first < blocks; first += LANE) {
      const int lane = static_cast<int>(std::min<int64_t>(LANE, blocks - first));
      if (!any_above<false>(block_max + first, lane, log_sum, highest_.back())) continue;
      for (int64_t block = first; block < first + lane; ++block) raise(block_max[block] - log_sum);
    }
    return highest_.back();
  }

  void raise(float value) {
    if (!(value > highest_.back())) return;
    auto place = highest_.end() - 1;
    for (; place != highest_.begin() && value > *(place - 1); --place) *place = *(place - 1);
    *place = value;
  }

  void look_through(const float* logits, int64_t vocabulary, int64_t block, float log_sum, float floor) {
    const int64_t end = std::min<int64_t>((block + 1) * BLOCK, vocabulary);
    for (int64_t first = block * BLOCK; first < end; first += LANE) {
      const int lane = static_cast<int>(std::min<int64_t>(LANE, end - first));
      if (!any_above<true>(logits + first, lane, log_sum, floor)) continue;
      for (int64_t id = first; id < first + lane; ++id) {
        const float value = logits[id] - log_sum;
        if (value >= floor) insert({value, id});
      }
    }
  }

  // Ids come in their order, so an equal one goes behind those that are there.
  void insert(Token token) {
    if (is_full()) {
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

// Where a step of beams is written; see `BeamStep`.
struct StepOut {
  double *totals, *log_probs;                       // [R]
  double *best_live, *highest;                      // [U]
  double* end_totals;                               // [R]
  int64_t *parents, *tokens, *end_beams, *end_rows; // [R]
  int64_t num_ends = 0;

  void go_on(int64_t row, const Candidate& one) {
    totals[row] = one.total, log_probs[row] = one.log_prob;
    parents[row] = one.row, tokens[row] = one.id;
  }
  void end(int64_t beam, const Candidate& one) {
    end_totals[num_ends] = one.total, end_beams[num_ends] = beam, end_rows[num_ends] = one.row;
    ++num_ends;
  }
};

// A row of a beam whose candidates come best first: the next of them.
struct Head {
  const Token* next;
  const Token* end;
};

class Beams {
 public:
  Beams(const Scores& scores, int64_t widest, const double* sums, int64_t eos_id, StepOut& out)
      : scores_(scores), sums_(sums), eos_id_(eos_id), out_(out),
        per_row_(std::min(2 * widest, scores.vocabulary)), finder_(per_row_), tokens_(widest * per_row_) {
    heads_.resize(widest);
  }

  void extend(int64_t beam, int64_t first_row, int64_t width) {
    const bool fails = look(first_row, width);
    Candidate one{};
    int64_t rank = 0, living = 0;
    out_.highest[beam] = out_.best_live[beam] = NEVER;
    while (rank < 2 * width && next(first_row, width, one)) {
      if (rank == 0) out_.highest[beam] = one.total;
      if (one.id == eos_id_) {
        if (rank < width) out_.end(beam, one);
      } else if (living < width) {
        if (living == 0) out_.best_live[beam] = one.total;
        out_.go_on(first_row + living++, one);
      }
      ++rank;
    }
    for (; living < width; ++living) out_.go_on(first_row + living, {NEVER, first_row + living, eos_id_, NEVER});
    if (fails) out_.highest[beam] = std::nan("");
  }

 private:
  // The likeliest tokens of the beam's rows; whether some row's are no numbers.
  bool look(int64_t first_row, int64_t width) {
    bool fails = false;
    for (int64_t slot = 0; slot < width; ++slot) {
      const std::vector<Token>& best = finder_.find(scores_, first_row + slot);
      Token* place = tokens_.data() + slot * per_row_;
      std::copy(best.begin(), best.end(), place);
      heads_[slot] = {place, place + best.size()};
      fails |= std::isnan(place->log_prob);
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

  const Scores& scores_;
  const double* sums_;
  int64_t eos_id_;
  StepOut& out_;
  int64_t per_row_;
  Finder finder_;
  std::vector<Token> tokens_;  // [widest, K]
  std::vector<Head> heads_;
};

}  // namespace verto::select

// As model/native/scores.py declares it: what both functions below read.
struct VertoScores {
  float* logits;
  const float* log_sums;
  float* block_max;
  const int64_t* chosen;  // null: every row
  const int64_t* barred;  // [2, N]: rows and tokens; valid ones
  int64_t vocabulary, rows, num_barred;

  verto::select::Scores scores() const { return {logits, log_sums, block_max, vocabulary, chosen, rows}; }
};

// `values` and `tokens` [R, count], count at most V. Answers 0, or 1 when memory is short.
extern "C" __attribute__((visibility("default"))) int verto_top(
    const VertoScores* given, int64_t count, float* values, int64_t* tokens) {
  using namespace verto::select;
  try {
    const Scores scores = given->scores();
    const Barred barred(scores, given->barred, given->num_barred);
    Finder finder(count);
    for (int64_t row = 0; row < scores.rows; ++row)
      for (const Token& token : finder.find(scores, row)) *values++ = token.log_prob, *tokens++ = token.id;
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

// One step of beams of these `widths` [U], which are all R rows, with the sums so far `sums` [R].
// `numbers`: totals, log_probs [R], best_live, highest [U], totals of the ends [R]. `places`: parents, tokens,
// beams and rows of the ends [R] each. Answers how many ends there are, or -1 when memory is short.
extern "C" __attribute__((visibility("default"))) int64_t verto_extend_beams(
    const VertoScores* given, const int64_t* widths, int64_t num_beams, const double* sums, int64_t eos_id,
    double* numbers, int64_t* places) {
  using namespace verto::select;
  try {
    const Scores scores = given->scores();
    const Barred barred(scores, given->barred, given->num_barred);
    const int64_t rows = scores.rows;
    double* by_beam = numbers + 2 * rows;
    StepOut out{numbers, numbers + rows, by_beam, by_beam + num_beams, by_beam + 2 * num_beams,
                places, places + rows, places + 2 * rows, places + 3 * rows};
    Beams beams(scores, *std::max_element(widths, widths + num_beams), sums, eos_id, out);
    for (int64_t beam = 0, first_row = 0; beam < num_beams; first_row += widths[beam++])
      beams.extend(beam, first_row, widths[beam]);
    return out.num_ends;
  } catch (const std::exception&) {
    return -1;
  }
}
