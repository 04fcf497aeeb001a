// The field list of the snapshot message: each struct of model.h, its members and their numbers, said once.
//
// Encoder (encode.cc) and Decoder (decode.cc) both walk these lists, so that what is written is what is read.
// snapshot.proto says the same for other programs; a test holds the two together. Field numbers are never reused and
// types never change: a new fact gets a new number, and readers skip numbers they do not know.
//
// An archive `a` offers: U unsigned, enum or bool (varint) · Interval a sampling interval in bytes (varint; 0 is read as
// 1 and never written) · I signed (zigzag varint) · D double (fixed64) · H hash (fixed64) · S string ·
// O optional<int> · M message · Rep repeated messages · Strs repeated strings · Us packed varints · Is packed zigzag
// varints · Index, Fd: the value + 1, so that "none" (kNoModule, -1) is the default that is not written.
#pragma once

#include <type_traits>

#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

template <typename T, typename Model>
concept Like = std::is_same_v<std::remove_const_t<T>, Model>;

void Fields(auto& a, Like<Weighted> auto& w) {
  a.U(1, w.samples);
  a.D(2, w.value);
  a.D(3, w.variance);
  a.D(4, w.largest_weight);
  a.D(5, w.moved_down);
  a.D(6, w.moved_up);
}

void Fields(auto& a, Like<Cohort> auto& c) {
  a.I(1, c.from_ms);
  a.I(2, c.to_ms);
  a.U(3, c.samples);
  a.D(4, c.live_bytes);
  a.D(5, c.live_count);
}

void Fields(auto& a, Like<ThreadShare> auto& t) {
  a.U(1, t.thread);
  a.D(2, t.live_bytes);
  a.D(3, t.live_count);
}

void Fields(auto& a, Like<Site> auto& s) {
  a.U(1, s.kind);
  a.U(2, s.stack);
  a.U(3, s.scope);
  a.M(4, s.live_bytes);
  a.M(5, s.live_count);
  a.M(6, s.total_bytes);
  a.M(7, s.total_count);
  a.D(8, s.freed_bytes);
  a.U(9, s.freed_samples);
  a.I(10, s.first_seen_ms);
  a.I(11, s.last_seen_ms);
  a.I(12, s.oldest_birth_ms);
  a.U(13, s.inherited);
  a.Rep(14, s.cohorts);
  a.Us(15, s.lifetimes);
  a.Rep(16, s.threads);
  a.D(17, s.reserved_bytes);
}

void Fields(auto& a, Like<HandleExample> auto& e) {
  a.Fd(1, e.fd);
  a.S(2, e.label);
  a.I(3, e.birth_ms);
  a.U(4, e.thread);
}

void Fields(auto& a, Like<HandleSite> auto& s) {
  a.U(1, s.type);
  a.U(2, s.stack);
  a.U(3, s.open);
  a.U(4, s.opened);
  a.U(5, s.closed);
  a.U(6, s.peak);
  a.I(7, s.oldest_birth_ms);
  a.I(8, s.first_seen_ms);
  a.I(9, s.last_seen_ms);
  a.Is(10, s.births_ms);
  a.Rep(11, s.examples);
  a.Rep(12, s.threads);
}

void Fields(auto& a, Like<UntrackedHandle> auto& h) {
  a.Fd(1, h.fd);
  a.U(2, h.type);
  a.S(3, h.label);
  a.U(4, h.inherited);
  a.S(5, h.reason);
}

void Fields(auto& a, Like<HandleTotals> auto& t) {
  a.U(1, t.open);
  a.U(2, t.untracked);
  a.U(3, t.inherited);
  a.U(4, t.limit);
  a.U(5, t.vanished);
}

void Fields(auto& a, Like<Module> auto& m) {
  a.S(1, m.path);
  a.S(2, m.build_id);
  a.U(3, m.start);
  a.U(4, m.end);
  a.U(5, m.bias);
}

void Fields(auto& a, Like<Thread> auto& t) {
  a.U(1, t.tid);
  a.S(2, t.name);
  a.I(3, t.started_ms);
  a.I(4, t.ended_ms);
}

void Fields(auto& a, Like<Stack> auto& s) {
  a.Us(1, s.frames);
  a.U(2, s.truncated);
  a.H(3, s.content_hash);
}

void Fields(auto& a, Like<ProcessInfo> auto& p) {
  a.I(1, p.pid);
  a.I(2, p.parent_pid);
  a.S(3, p.name);
  a.S(4, p.executable);
  a.Strs(5, p.command);
  a.I(6, p.started_ms);
  a.I(7, p.ended_ms);
  a.U(8, p.end);
  a.O(9, p.exit_status);
  a.I(10, p.signal);
  a.U(11, p.image);
  a.U(12, p.replaced_by_exec);
  a.S(13, p.previous);
  a.I(14, p.forked_from_pid);
  a.U(15, p.uid);
  a.S(16, p.host);
  a.U(17, p.flags);
  a.S(18, p.run_id);
  a.I(19, p.run_started_ms);
  a.U(20, p.run_first);
}

void Fields(auto& a, Like<SamplingChange> auto& c) {
  a.I(1, c.time_ms);
  a.Interval(2, c.mean_bytes);
}

void Fields(auto& a, Like<Sampling> auto& s) {
  a.U(1, s.exact);
  a.Interval(2, s.mean_bytes);
  a.D(3, s.budget_percent);
  a.D(4, s.measured_overhead_percent);
  a.Rep(5, s.history);
}

void Fields(auto& a, Like<Gap> auto& g) {
  a.I(1, g.from_ms);
  a.I(2, g.to_ms);
}

void Fields(auto& a, Like<Losses> auto& l) {
  a.U(1, l.records);
  a.U(2, l.bytes);
  a.U(3, l.truncated_stacks);
  a.U(4, l.unknown_stacks);
  a.U(5, l.stale_records);
  a.U(6, l.invalid_records);
  a.U(7, l.slow_visits);
  a.U(8, l.fallback_walks);
  a.Rep(9, l.gaps);
}

void Fields(auto& a, Like<VitalsPoint> auto& v) {
  a.I(1, v.time_ms);
  a.U(2, v.rss_bytes);
  a.U(3, v.pss_bytes);
  a.U(4, v.peak_rss_bytes);
  a.U(5, v.heap_live_bytes);
  a.U(6, v.allocator_slack_bytes);
  a.U(7, v.mmap_bytes);
  a.U(8, v.stack_bytes);
  a.U(9, v.file_bytes);
  a.U(10, v.page_table_bytes);
  a.U(11, v.swap_bytes);
  a.U(12, v.virtual_bytes);
  a.U(13, v.leakhunt_bytes);
  a.U(14, v.open_handles);
  a.U(15, v.threads);
  a.U(16, v.cgroup_bytes);
  a.U(17, v.allocated_bytes);
  a.D(18, v.cpu_seconds);
  a.U(19, v.shared_bytes);
  a.U(20, v.unseen_bytes);
  a.U(21, v.cgroup_tasks);
  a.U(22, v.user_tasks);
}

void Fields(auto& a, Like<struct Limits> auto& l) {
  a.U(1, l.cgroup_bytes);
  a.U(2, l.cgroup_oom_kills);
  a.U(3, l.address_space_bytes);
  a.U(4, l.open_handles);
  a.U(5, l.machine_bytes);
  a.U(6, l.machine_available_bytes);
  a.U(7, l.cgroup_tasks);
  a.U(8, l.user_tasks);
}

void Fields(auto& a, Like<ActivityPoint> auto& p) {
  a.I(1, p.time_ms);
  a.U(2, p.allocated_bytes);
}

void Fields(auto& a, Like<Frame> auto& f) {
  a.Index(1, f.module);
  a.U(2, f.offset);
  a.U(3, f.flags);
}

// The rows, which may be written one by one.
inline constexpr uint32_t kStacksField = 10, kSitesField = 13;

void Fields(auto& a, Like<Snapshot> auto& s) {
  a.U(1, s.number);
  a.I(2, s.time_ms);
  a.S(3, s.reason);
  a.S(4, s.label);
  a.M(5, s.process);
  a.M(6, s.sampling);
  a.M(7, s.losses);
  a.Rep(8, s.modules);
  a.Rep(9, s.frames);
  a.Rep(kStacksField, s.stacks);
  a.Rep(11, s.threads);
  a.Strs(12, s.scopes);
  a.Rep(kSitesField, s.sites);
  a.M(14, s.handle_totals);
  a.Us(15, s.handles_by_type);
  a.Rep(16, s.handle_sites);
  a.Rep(17, s.untracked);
  a.Rep(18, s.vitals);
  a.M(19, s.limits);
  a.Rep(20, s.activity);
  a.U(21, s.mapping_bytes);
}

}  // namespace leakhunt::snapshot
