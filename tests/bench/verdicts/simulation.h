// One simulated process: a load over time, one site under test whose blocks live and die by a scenario's rules, and the
// snapshots taken of it. Time is simulated; nothing here waits.
#pragma once

#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "tests/bench/verdicts/recorder.h"

namespace leakhunt::corpus {

// Requests a second, relative to the mean, at a moment.
using Load = std::function<double(double time_s)>;

struct Plan {
  double span_s = 3600;
  double interval_s = 60;
  double sample_bytes = 1;
  bool handles = false;
  Load load = [](double) { return 1.0; };
  double highest_load = 1;      // upper bound of `load`
  double other_activity = 1e6;  // bytes a second that the rest of the process allocates at load 1
};

class Simulation {
 public:
  Simulation(uint64_t seed, const Plan& plan);

  Random& random() { return random_; }
  const Plan& plan() const { return plan_; }

  // For scenarios. Times in simulated seconds.
  Recorder::Block Born(double time_s, double size_bytes) { return recorder_.Born(time_s, size_bytes); }
  void Died(Recorder::Block block, double time_s) { recorder_.Died(block, time_s); }
  void DiesAt(Recorder::Block block, double time_s) { At(time_s, [this, block](double t) { recorder_.Died(block, t); }); }
  void Resized(Recorder::Block block, double size_bytes) { recorder_.Resized(block, size_bytes); }
  void At(double time_s, std::function<void(double)> action);
  // Calls `action` at random moments, `per_s` a second at load 1, from `from_s` to `to_s`.
  void Arrivals(double per_s, std::function<void(double)> action, double from_s = 0, double to_s = 1e18);

  verdict::History Run();

 private:
  struct Event {
    double time_s;
    uint64_t order;
    std::function<void(double)> action;
    bool operator<(const Event& other) const {
      return time_s != other.time_s ? time_s > other.time_s : order > other.order;
    }
  };
  void Arrive(double per_s, const std::function<void(double)>& action, double after_s, double to_s);
  double Activity(double time_s);

  Plan plan_;
  Random random_;
  Recorder recorder_;
  std::priority_queue<Event> events_;
  uint64_t next_order_ = 0;
  double activity_ = 0, activity_until_s_ = 0;
};

}  // namespace leakhunt::corpus
