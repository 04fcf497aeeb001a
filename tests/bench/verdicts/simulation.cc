#include "tests/bench/verdicts/simulation.h"

#include <algorithm>
#include <memory>

namespace leakhunt::corpus {

namespace {
constexpr int kEarlierSets = 12;
}

Simulation::Simulation(uint64_t seed, const Plan& plan)
    : plan_(plan), random_(seed), recorder_(random_, plan.sample_bytes, plan.handles) {}

void Simulation::At(double time_s, std::function<void(double)> action) {
  if (time_s <= plan_.span_s) events_.push({time_s, next_order_++, std::move(action)});
}

void Simulation::Arrivals(double per_s, std::function<void(double)> action, double from_s, double to_s) {
  Arrive(per_s, action, from_s, std::min(to_s, plan_.span_s));
}

// Thinning (Lewis & Shedler 1979): candidates at the highest rate, kept by the load of their moment.
void Simulation::Arrive(double per_s, const std::function<void(double)>& action, double after_s, double to_s) {
  double time_s = after_s;
  do {
    time_s += random_.Exponential(1 / (per_s * plan_.highest_load));
  } while (time_s < to_s && !random_.Chance(plan_.load(time_s) / plan_.highest_load));
  if (time_s >= to_s) return;
  At(time_s, [this, per_s, action, to_s](double now) {
    action(now);
    Arrive(per_s, action, now, to_s);
  });
}

// The rest of the process: proportional to the load, with a fifth of noise a step.
double Simulation::Activity(double time_s) {
  double step = plan_.span_s / 2000;
  while (activity_until_s_ < time_s) {
    double next = std::min(time_s, activity_until_s_ + step);
    double noise = std::max(0.0, 1 + 0.2 * random_.Normal());
    activity_ += plan_.other_activity * plan_.load(activity_until_s_) * noise * (next - activity_until_s_);
    activity_until_s_ = next;
  }
  return activity_;
}

verdict::History Simulation::Run() {
  verdict::History history;
  history.process_started_ms = kStartMs;
  history.exact = recorder_.exact();
  history.handles = recorder_.handles();
  auto points = std::max(1, static_cast<int>(plan_.span_s / plan_.interval_s));
  int kept = 0;
  for (int k = 1; k <= points; ++k) {
    double now = k == points ? plan_.span_s : plan_.interval_s * k;
    while (!events_.empty() && events_.top().time_s <= now) {
      Event event = events_.top();
      events_.pop();
      event.action(event.time_s);
    }
    history.points.push_back(recorder_.Observe(now, Activity(now)));
    if (k < points && k * (kEarlierSets + 1) / points > kept) {
      kept = k * (kEarlierSets + 1) / points;
      history.earlier.push_back({ToMs(now), recorder_.Cohorts(now)});
    }
  }
  history.cohorts = recorder_.Cohorts(plan_.span_s);
  size_t step = std::max<size_t>(1, history.points.size() / 100);
  for (size_t i = 0; i < history.points.size(); i += step) {
    history.activity.push_back({history.points[i].time_ms, static_cast<uint64_t>(history.points[i].activity)});
  }
  return history;
}

}  // namespace leakhunt::corpus
