#include "collector/ledger/ledger.h"

#include <algorithm>
#include <utility>

#include "collector/ledger/block_sums.h"
#include "collector/ledger/handle_reconciler.h"
#include "collector/ledger/handle_rows.h"
#include "collector/ledger/handle_slots.h"
#include "collector/ledger/header_fields.h"
#include "collector/ledger/inherited_blocks.h"
#include "collector/ledger/name_tables.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/process_clock.h"
#include "collector/ledger/sightings.h"
#include "collector/ledger/site_rows.h"
#include "collector/ledger/slot_copier.h"
#include "collector/ledger/stack_table.h"
#include "collector/ledger/tally_sums.h"

namespace leakhunt::ledger {

namespace {

// A floor doubles, so a process cannot raise it often.
constexpr int kSweepAttempts = 8;

// The list to hold the handles against. What the guest found at its end is the last word on that image; after an
// exec, /proc shows another image's table, and an empty table is a zombie's.
Evidence ChooseEvidence(const CaptureOptions& options, const protocol::ProcessHeader& header,
                        const HandleSighting& seen, std::vector<KernelHandle>* list) {
  const auto end = static_cast<protocol::ImageEnd>(header.image_end);
  if (end != protocol::ImageEnd::kRunning && !seen.at_exit.empty()) {
    for (const RecordedHandle& handle : seen.at_exit) {
      list->push_back({handle.fd, handle.type, "", handle.inode, handle.label});
    }
    return Evidence::kExitList;
  }
  const bool readable = options.kernel_handles != nullptr && !options.kernel_handles->empty();
  if (readable && end != protocol::ImageEnd::kExec) {
    *list = *options.kernel_handles;
    return Evidence::kKernel;
  }
  return options.process_alive ? Evidence::kNone : Evidence::kFinal;
}

// Everything read from the pages in one capture, before stacks have meaning.
struct Reading {
  TallyMarks before;
  TallySums after;
  std::vector<InheritedBlocks> inherited;
  HandleSighting handles;
  std::vector<HandleTotalsOfStack> handle_totals;
  uint64_t refused = 0;

  std::vector<uint32_t> References(const BlockSums& blocks) const;
};

std::vector<uint32_t> Reading::References(const BlockSums& blocks) const {
  std::vector<uint32_t> references;
  for (uint32_t i = 0; i < blocks.size(); ++i) references.push_back(StackOfKey(blocks.KeyAt(i)));
  for (uint32_t i = 0; i < after.size(); ++i) references.push_back(StackOfKey(after.KeyAt(i)));
  for (const InheritedBlocks& blocks_of_stack : inherited) references.push_back(blocks_of_stack.stack);
  for (const RecordedHandle& handle : handles.live) references.push_back(handle.stack);
  for (const HandleTotalsOfStack& totals : handle_totals) references.push_back(totals.stack);
  return references;
}

}  // namespace

struct ProcessLedger::State {
  explicit State(PageFile page_file) : file(std::move(page_file)) {}

  PageFile file;
  Sightings site_sightings;
  Sightings handle_sightings;
  HandleReconciler reconciler;

  void FillSites(const CaptureOptions& options, const ProcessClock& clock, const StackTable& stacks, Reading* reading,
                 BlockSums blocks, ThreadTable* threads, ScopeTable* scopes, snapshot::Rows* rows);
  void FillHandleRows(const CaptureOptions& options, const protocol::ProcessHeader& header, const ProcessClock& clock,
                      const StackTable& stacks, Reading* reading, ThreadTable* threads, snapshot::Snapshot* out);
};

ProcessLedger::ProcessLedger(std::unique_ptr<State> state) : state_(std::move(state)) {}
ProcessLedger::~ProcessLedger() = default;

Result<std::unique_ptr<ProcessLedger>> ProcessLedger::Open(UniqueFd memfd) {
  Result<PageFile> file = PageFile::Open(std::move(memfd));
  if (!file) return std::move(file).error();
  return std::unique_ptr<ProcessLedger>(new ProcessLedger(std::make_unique<State>(*std::move(file))));
}

Result<protocol::ProcessHeader> ProcessLedger::ReadHeader() { return state_->file.ReadHeader(); }

Result<Unit> ProcessLedger::Capture(const CaptureOptions& options, snapshot::Rows* rows,
                                    snapshot::Snapshot* out) {
  PageFile& file = state_->file;
  if (Status size = file.RefreshSize(); !size) return size;
  Result<protocol::ProcessHeader> first = file.ReadHeader();
  if (!first) return std::move(first).error();
  const ProcessClock clock(*first, options.now_ms);
  SlotCopier copier(file, options.process_alive ? PageWriter::kActive : PageWriter::kGone);
  Reading reading;

  PageDirectory directory = PageDirectory::Read(file, first->extents);
  if (options.process_alive) reading.before = TallyMarks(TallySums::Read(file, directory));
  BlockSums blocks = BlockSums::Sweep(&copier, directory, clock, first->floor_interval_bytes);
  reading.handles = ReadHandles(&copier, directory);

  // What was born during the sweep may lie in areas that did not exist before it, and so may its stack. And a floor
  // that rose during it has taken records away whose weight the others must carry: sweep again.
  Result<protocol::ProcessHeader> header = file.ReadHeader();
  for (int attempt = 0; options.process_alive && attempt < kSweepAttempts; ++attempt) {
    if (Status size = file.RefreshSize(); !size) return size;
    header = file.ReadHeader();
    if (!header) break;
    directory = PageDirectory::Read(file, header->extents);
    const uint32_t floor_bytes = header->floor_interval_bytes;
    if (floor_bytes == blocks.floor_interval_bytes()) break;
    blocks = BlockSums::Sweep(&copier, directory, clock, floor_bytes);
  }
  if (!header) return std::move(header).error();
  reading.after = TallySums::Read(file, directory);
  reading.inherited = ReadInheritedBlocks(file, directory, &reading.refused);
  reading.handle_totals = ReadHandleTallies(file, directory);

  StackTable stacks(file, directory, rows);
  stacks.Resolve(reading.References(blocks));
  ThreadTable threads = ThreadTable::Read(file, directory, clock);
  ScopeTable scopes = ScopeTable::Read(file, directory);
  const uint64_t refused = reading.refused + directory.refused() + blocks.refused() + reading.after.refused() +
                           reading.handles.refused + stacks.refused();
  state_->FillSites(options, clock, stacks, &reading, std::move(blocks), &threads, &scopes, rows);
  state_->FillHandleRows(options, *header, clock, stacks, &reading, &threads, out);
  FillFromHeader(*header, clock, options, refused, out);
  stacks.MoveInto(out);
  threads.MoveInto(out);
  scopes.MoveInto(out);
  return Ok();
}

void ProcessLedger::State::FillSites(const CaptureOptions& options, const ProcessClock& clock, const StackTable& stacks,
                                     Reading* reading, BlockSums blocks, ThreadTable* threads, ScopeTable* scopes,
                                     snapshot::Rows* rows) {
  SiteRows sites(stacks, clock);
  sites.AddBlocks(std::move(blocks), scopes);
  sites.AddTallies(options.process_alive ? &reading->before : nullptr, std::move(reading->after));
  reading->before = TallyMarks();
  sites.AddInherited(reading->inherited);
  site_sightings.BeginCapture(clock.started_ms());
  sites.Finish(threads, &site_sightings, options.now_ms, rows);
  site_sightings.EndCapture(options.now_ms);
}

void ProcessLedger::State::FillHandleRows(const CaptureOptions& options, const protocol::ProcessHeader& header,
                                          const ProcessClock& clock, const StackTable& stacks, Reading* reading,
                                          ThreadTable* threads, snapshot::Snapshot* out) {
  out->handle_sites.clear();
  out->untracked.clear();
  if ((header.track & protocol::kTrackHandles) == 0) return;
  std::vector<KernelHandle> list;
  const Evidence evidence = ChooseEvidence(options, header, reading->handles, &list);
  const auto closed_types = std::move(reading->handles.closed_types);
  const bool injected = (header.flags & protocol::kFlagInjected) != 0;
  Reconciled reconciled = reconciler.Reconcile(std::move(reading->handles), list, evidence, injected);
  HandleRowsInput input;
  input.reconciled = &reconciled;
  input.totals = &reading->handle_totals;
  input.closed_types = &closed_types;
  input.now_ms = options.now_ms;
  handle_sightings.BeginCapture(clock.started_ms());
  FillHandles(input, stacks, clock, threads, &handle_sightings, out);
  handle_sightings.EndCapture(options.now_ms);
}

}  // namespace leakhunt::ledger
