#include "preload/core/interval_control.h"

namespace leakhunt::core {
namespace {

constexpr double kVisitsPerBlock = 2;  // a birth and a death
constexpr double kLeastSampledInterval = 256, kExactBelow = 64;
constexpr double kMostStep = 4;

// What the heap is given whatever it costs, per second of wall time: fewer births say nothing about a leak within
// minutes. A visit takes some 0.8 us in a service that uses 3 % of a processor: this is 0.01 % of one. It is more than
// the budget only where a process uses less than 1 % of a processor, or where its descriptors take the budget.
constexpr double kLeastBirthsPerSecondAtOnePercent = 50;

double Least(double a, double b) { return a < b ? a : b; }
double Most(double a, double b) { return a > b ? a : b; }

// What is left of the budget for sampling the heap.
double HeapBudget(const CostReading& reading, double budget) {
  const double passed_cost = reading.passed_blocks * kPassedBlockNs / reading.cpu_ns;
  const double other_cost = reading.other_visits * reading.other_unit_ns / reading.cpu_ns;
  return Most(budget - Least(passed_cost, budget / 2) - other_cost, budget / 16);
}

// The interval that spends `heap_budget`, not damped. `cost`: of the heap's visits at the present interval.
double Wanted(const CostReading& reading, double heap_budget, double widest, double cost, double now) {
  if (now <= 1) {
    const double sampled = reading.bytes / reading.cpu_ns * kVisitsPerBlock * reading.heap_unit_ns / heap_budget;
    return Most(Least(sampled, widest), kLeastSampledInterval);
  }
  const double wanted = Least(now * cost / heap_budget, widest);
  return wanted < kExactBelow ? 1 : wanted;
}

}  // namespace

uint64_t NextInterval(const CostReading& reading, double budget, uint64_t now_bytes) {
  const double heap_budget = HeapBudget(reading, budget);
  const double widest = reading.bytes / reading.elapsed_s / (kLeastBirthsPerSecondAtOnePercent * budget * 100);
  const double cost = reading.heap_visits * reading.heap_unit_ns / reading.cpu_ns;
  const double now = static_cast<double>(now_bytes);
  if (now <= 1 && cost <= heap_budget) return now_bytes;
  double wanted = Wanted(reading, heap_budget, widest, cost, now);
  if (wanted > now * kMostStep) wanted = Most(now * kMostStep, kLeastSampledInterval);
  if (wanted < now / kMostStep && now > kLeastSampledInterval) wanted = now / kMostStep;
  if (wanted > now * 0.6 && wanted < now * 1.05) return now_bytes;
  return static_cast<uint64_t>(wanted);
}

}  // namespace leakhunt::core
