#include "tests/unit/snapshot/sample.h"

namespace leakhunt::testing {
namespace {

using namespace snapshot;  // NOLINT(google-build-using-namespace): the builder names little else

Weighted Sampled(double value, double weight) {
  uint64_t n = static_cast<uint64_t>(value / weight);
  return {n, value, static_cast<double>(n) * weight * weight * 0.9, weight, 10, 20};
}

ProcessInfo SampleProcess() {
  ProcessInfo p;
  p.pid = 4242;
  p.parent_pid = 4200;
  p.name = "server";
  p.executable = "/opt/shop/bin/server";
  p.command = {"/opt/shop/bin/server", "--port", "8080", ""};
  p.started_ms = kSampleStartMs;
  p.ended_ms = kSampleStartMs + 3'600'000;
  p.end = End::kSignal;
  p.exit_status = 0;
  p.signal = 9;
  p.image = 2;
  p.replaced_by_exec = true;
  p.previous = "sh-4242-100";
  p.forked_from_pid = 4200;
  p.uid = 1000;
  p.host = "web-1";
  p.flags = 1;
  p.run_id = "run-1";
  p.run_started_ms = kSampleStartMs - 500;
  p.run_first = true;
  return p;
}

Site HeapSite(uint32_t number) {
  Site s;
  s.stack = 1;
  s.scope = 1;
  s.live_bytes = Sampled(1'000'000.0 * number, 4096);
  s.live_count = Sampled(10'000.0 * number, 40.96);
  s.total_bytes = Sampled(3'000'000.0 * number, 4096);
  s.total_count = Sampled(30'000.0 * number, 40.96);
  s.freed_bytes = 2'000'000.0 * number;
  s.freed_samples = 480;
  s.first_seen_ms = kSampleStartMs + 1000;
  s.last_seen_ms = kSampleStartMs + 60'000 * number;
  s.oldest_birth_ms = kSampleStartMs + 2000;
  s.inherited = true;
  s.cohorts = {{kSampleStartMs, kSampleStartMs + 30'000, 100, 400'000, 4000},
               {kSampleStartMs + 30'000, kSampleStartMs + 60'000, 144, 600'000, 6000}};
  s.lifetimes = {1, 2, 3, 0, 0, 4};
  s.threads = {{1, 900'000, 9000}, {0, 100'000, 1000}};
  return s;
}

Site MmapSite() {
  Site s;
  s.kind = SiteKind::kMmap;
  s.stack = 2;
  s.live_bytes = s.total_bytes = {2, 8192, 0, 0, 0, 0};
  s.live_count = s.total_count = {2, 2, 0, 0, 0, 0};
  s.first_seen_ms = s.last_seen_ms = s.oldest_birth_ms = kSampleStartMs + 10;
  return s;
}

HandleSite SocketSite(uint32_t number) {
  HandleSite s;
  s.type = HandleType::kTcp;
  s.stack = 3;
  s.open = 3 + number;
  s.opened = 10 + number;
  s.closed = 7;
  s.peak = 5 + number;
  s.oldest_birth_ms = kSampleStartMs + 5000;
  s.first_seen_ms = kSampleStartMs + 4000;
  s.last_seen_ms = kSampleStartMs + 50'000;
  s.births_ms = {kSampleStartMs + 5000, kSampleStartMs + 6000};
  s.examples = {{7, "tcp 10.0.0.1:8080 -> 10.0.0.2:5555 established", kSampleStartMs + 5000, 1}, {0, "", 0, 0}};
  s.threads = {{1, 0, 4}};
  return s;
}

void AddCode(Snapshot& s) {
  s.modules = {{"/opt/shop/bin/server", "aabbccdd00112233", 0x400000, 0x500000, 0x400000},
               {"/usr/lib/x86_64-linux-gnu/libc.so.6", "ff00ff00", 0x7f0000000000, 0x7f0000200000, 0x7f0000000000}};
  s.frames = {{0, 0x1230, 0}, {0, 0x2340, 0}, {1, 0x29d90, 0}, {kNoModule, 0x7fab00001000, kFrameExact}, {0, 0x3450, 0}};
  s.stacks = {{}, {{0, 1, 2}, false, 0x1111}, {{3, 1}, true, 0x2222}, {{4, 1, 2}, false, 0x3333}};
}

VitalsPoint SampleVitals(uint32_t number) {
  VitalsPoint v;
  v.time_ms = kSampleStartMs + 60'000 * number;
  v.rss_bytes = 50'000'000 + 1'000'000 * number;
  v.pss_bytes = 45'000'000 + 1'000'000 * number;
  v.peak_rss_bytes = 60'000'000;
  v.heap_live_bytes = 1'000'000 * number;
  v.allocator_slack_bytes = 300'000;
  v.mmap_bytes = 8192;
  v.stack_bytes = 65'536;
  v.file_bytes = 9'000'000;
  v.page_table_bytes = 40'960;
  v.swap_bytes = 4096;
  v.virtual_bytes = 900'000'000;
  v.leakhunt_bytes = 1'048'576;
  v.open_handles = 12 + number;
  v.threads = 4;
  v.cgroup_bytes = 70'000'000;
  v.allocated_bytes = 3'000'000 * number;
  v.cpu_seconds = 1.5 * number;
  return v;
}

}  // namespace

Snapshot SampleSnapshot(uint32_t number) {
  Snapshot s;
  s.number = number;
  s.time_ms = kSampleStartMs + 60'000 * number;
  s.reason = "interval";
  s.label = "after warm-up";
  s.process = SampleProcess();
  s.sampling = {false, 4096, 1.0, 0.4, {{kSampleStartMs, 1}, {kSampleStartMs + 1000, 4096}}};
  s.losses = {3, 300, 5, 6, 7, 8, 9, 10, {{kSampleStartMs + 100, kSampleStartMs + 200}}};
  AddCode(s);
  s.threads = {{4242, "server", kSampleStartMs, kSampleStartMs + 9000}, {4243, "worker", kSampleStartMs + 1, 0}};
  s.scopes = {"", "checkout"};
  s.sites = {HeapSite(number), MmapSite()};
  s.handle_totals = {3 + number, 1, 3, 1024, 2};
  s.handles_by_type[1] = 4;
  s.handles_by_type[3] = 3 + number;
  s.handle_sites = {SocketSite(number)};
  s.untracked = {{0, HandleType::kPty, "/dev/pts/1", true, ""}, {9, HandleType::kPipe, "pipe:[77]", false, "raw syscall"}};
  s.vitals = {SampleVitals(number)};
  s.limits = {256'000'000, 1, 1'000'000'000, 1024, 8'000'000'000, 4'000'000'000};
  s.activity = {{kSampleStartMs, 0}, {kSampleStartMs + 60'000 * number, uint64_t{3'000'000} * number}};
  return s;
}

}  // namespace leakhunt::testing
