#include "collector/snapshot/writer.h"

#include <fmt/format.h>

#include "collector/base/turns.h"
#include "collector/snapshot/file_header.h"
#include "collector/snapshot/message.h"
#include "collector/snapshot/recording.h"

namespace leakhunt::snapshot {

SnapshotWriter::SnapshotWriter(const std::filesystem::path& file)
    : context_("cannot write " + file.string()), staged_(file), compressor_(&staged_) {}

void SnapshotWriter::Add(const Stack& stack) {
  Turns::Pause();
  check_.Add(stack);
  row_.clear();
  EncodeRow(stack, &row_);
  compressor_.Add(row_);
}

void SnapshotWriter::Add(const Site& site) {
  Turns::Pause();
  check_.Add(site);
  if (const auto kind = static_cast<size_t>(site.kind); kind < live_bytes_.size()) {
    live_bytes_[kind] += site.live_bytes.value;
  }
  if (site.kind == SiteKind::kHeap) {
    heap_total_bytes_ += site.total_bytes.value;
    heap_total_count_ += site.total_count.value;
  }
  row_.clear();
  EncodeRow(site, &row_);
  compressor_.Add(row_);
}

Status SnapshotWriter::Write(const Snapshot& snapshot) {
  if (Status valid = check_.Finish(snapshot); !valid) return std::move(valid.error()).Wrap(context_);
  compressor_.Add(EncodeRest(snapshot));
  const uint64_t message_bytes = compressor_.TakenBytes();
  if (message_bytes > kMaxMessageBytes) {
    return Error{fmt::format("{}: {} bytes are more than a reader takes", context_, message_bytes)};
  }
  if (Status compressed = compressor_.Finish(); !compressed) return std::move(compressed.error()).Wrap(context_);
  return staged_.Commit(EncodeHeader({.number = snapshot.number,
                                      .time_ms = snapshot.time_ms,
                                      .payload_bytes = staged_.payload_bytes(),
                                      .message_bytes = message_bytes,
                                      .payload_hash = staged_.PayloadHash()}));
}

Status WriteSnapshot(const Snapshot& snapshot, const std::filesystem::path& file) {
  SnapshotWriter writer(file);
  AddRows(snapshot, &writer);
  return writer.Write(snapshot);
}

}  // namespace leakhunt::snapshot
