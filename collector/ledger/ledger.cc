#include "collector/ledger/ledger.h"

#include <algorithm>
#include <utility>

#include "collector/ledger/block_sums.h"
#include "collector/ledger/handle_births.h"
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
#include "collector/ledger/stack_parts.h"
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

}  // namespace

struct ProcessLedger::State {
  explicit State(PageFile page_file) : file(std::move(page_file)) {}

  PageFile file;
  MappingMemory mapping_memory;
  Sightings site_sightings;
  Sightings handle_sightings;
  HandleBirths handle_births;
  HandleReconciler reconciler;
};

namespace {

// The work of one capture.
class Capturing {
 public:
  Capturing(const CaptureOptions& options, const protocol::ProcessHeader& header, ProcessLedger::State* state,
            snapshot::Rows* rows, snapshot::Snapshot* out)
      : options_(options),
        state_(*state),
        file_(state->file),
        header_(header),
        clock_(header, options.now_ms),
        copier_(file_, options.process_alive ? PageWriter::kActive : PageWriter::kGone),
        directory_(PageDirectory::Read(file_, header.extents)),
        living_threads_(options.threads, clock_),
        stacks_(file_, rows),
        rows_(rows),
        out_(out) {}

  Result<Unit> Run();

 private:
  Status LookAgain();
  Status Handles();
  void FillHandleRows(HandleSighting seen, const std::vector<HandleTotalsOfStack>& totals);
  Status Sites(const StackPart& part);
  Result<BlockSums> SweepBlocks(StackRange range);

  const CaptureOptions& options_;
  ProcessLedger::State& state_;
  PageFile& file_;
  protocol::ProcessHeader header_;
  ProcessClock clock_;
  SlotCopier copier_;
  PageDirectory directory_;
  LivingThreads living_threads_;
  StackTable stacks_;
  ThreadTable threads_;
  ScopeTable scopes_;
  snapshot::Rows* rows_;
  snapshot::Snapshot* out_;
  uint64_t refused_ = 0;
  uint64_t beyond_ = 0;  // records whose stacks were too many to be told apart
};

// What a live process has added meanwhile: areas, the stacks in them, names.
Status Capturing::LookAgain() {
  if (options_.process_alive) {
    if (Status size = file_.RefreshSize(); !size) return size;
    Result<protocol::ProcessHeader> header = file_.ReadHeader();
    if (!header) return std::move(header).error();
    header_ = *header;
    directory_ = PageDirectory::Read(file_, header_.extents);
  }
  threads_.Refresh(file_, directory_, clock_);
  scopes_.Refresh(file_, directory_);
  return Ok();
}

Result<Unit> Capturing::Run() {
  if (Status handles = Handles(); !handles) return handles;
  state_.site_sightings.BeginCapture(clock_.started_ms());
  MappingMemory& memory = state_.mapping_memory;
  memory.Begin(options_.residency, options_.most_unread_bytes);
  for (const StackPart& part : StackParts(file_, directory_)) {
    if (Status sites = Sites(part); !sites) return sites;
  }
  state_.site_sightings.EndCapture(options_.now_ms);
  memory.End();
  out_->mapping_bytes = memory.Unread() ? snapshot::MappingBytes::kEstimated : snapshot::MappingBytes::kInMemory;
  refused_ += directory_.refused() + stacks_.refused();
  FillFromHeader(header_, clock_, options_, refused_, out_);
  out_->losses.unknown_stacks += beyond_;
  stacks_.MoveInto(out_);
  threads_.MoveInto(out_);
  scopes_.MoveInto(out_);
  return Ok();
}

Status Capturing::Handles() {
  HandleSighting seen = ReadHandles(&copier_, directory_, options_.most_handles);
  state_.handle_births.Mend(&seen, clock_.TickAt(options_.now_ms));
  if (Status looked = LookAgain(); !looked) return looked;
  const std::vector<HandleTotalsOfStack> totals = ReadHandleTallies(file_, directory_);
  std::vector<uint32_t> references;
  for (const RecordedHandle& handle : seen.live) references.push_back(handle.stack);
  for (const HandleTotalsOfStack& of_stack : totals) references.push_back(of_stack.stack);
  stacks_.Resolve(directory_, std::move(references));
  refused_ += seen.refused;
  FillHandleRows(std::move(seen), totals);
  return Ok();
}

void Capturing::FillHandleRows(HandleSighting seen, const std::vector<HandleTotalsOfStack>& totals) {
  out_->handle_sites.clear();
  out_->untracked.clear();
  if ((header_.track & protocol::kTrackHandles) == 0) return;
  std::vector<KernelHandle> list;
  const Evidence evidence = ChooseEvidence(options_, header_, seen, &list);
  const auto closed_types = std::move(seen.closed_types);
  const bool injected = (header_.flags & protocol::kFlagInjected) != 0;
  Reconciled reconciled = state_.reconciler.Reconcile(std::move(seen), list, evidence, injected);
  HandleRowsInput input;
  input.reconciled = &reconciled;
  input.totals = &totals;
  input.closed_types = &closed_types;
  input.now_ms = options_.now_ms;
  state_.handle_sightings.BeginCapture(clock_.started_ms());
  FillHandles(input, stacks_, clock_, &threads_, &state_.handle_sightings, out_);
  state_.handle_sightings.EndCapture(options_.now_ms);
}

// What was born during the sweep may lie in areas that did not exist before it, and so may its stack. And a floor that rose
// during it has taken records away whose weight the others must carry: sweep again.
Result<BlockSums> Capturing::SweepBlocks(StackRange range) {
  const auto sweep = [&] {
    return BlockSums::Sweep(&copier_, directory_, range, clock_,
                            {header_.floor_interval_bytes, &state_.mapping_memory, &living_threads_});
  };
  BlockSums blocks = sweep();
  for (int attempt = 0; attempt < kSweepAttempts; ++attempt) {
    if (Status looked = LookAgain(); !looked) return std::move(looked).error();
    if (!options_.process_alive || header_.floor_interval_bytes == blocks.floor_interval_bytes()) break;
    blocks = sweep();
  }
  return blocks;
}

Status Capturing::Sites(const StackPart& part) {
  TallyMarks before;
  if (options_.process_alive) before = TallyMarks(TallySums::Read(file_, part.tally_pages, part.range));
  Result<BlockSums> blocks = SweepBlocks(part.range);
  if (!blocks) return std::move(blocks).error();
  // Stacks that were new meanwhile are in the last part, unless they took the place of freed pages.
  const bool grown = options_.process_alive && part.range.IsLast();
  TallySums after = TallySums::Read(file_, grown ? TallyPages(file_, directory_) : part.tally_pages, part.range);
  const std::vector<InheritedBlocks> inherited = ReadInheritedBlocks(file_, directory_, part.range, &refused_);
  refused_ += blocks->refused() + after.refused();

  std::vector<uint32_t> references;
  for (uint32_t i = 0; i < blocks->size(); ++i) references.push_back(StackOfKey(blocks->KeyAt(i)));
  for (uint32_t i = 0; i < after.size(); ++i) references.push_back(StackOfKey(after.KeyAt(i)));
  for (const InheritedBlocks& of_stack : inherited) references.push_back(of_stack.stack);
  stacks_.Resolve(directory_, std::move(references));
  for (uint32_t i = 0; i < after.size(); ++i) {
    if (stacks_.IsBeyond(StackOfKey(after.KeyAt(i)))) beyond_ += after.At(i).samples;
  }

  SiteRows sites(stacks_, clock_);
  sites.AddBlocks(*std::move(blocks), &scopes_);
  sites.AddTallies(options_.process_alive ? &before : nullptr, std::move(after), state_.mapping_memory);
  before = TallyMarks();
  sites.AddInherited(inherited);
  sites.Finish(&threads_, &state_.site_sightings, options_.now_ms, rows_);
  return Ok();
}

}  // namespace

ProcessLedger::ProcessLedger(std::unique_ptr<State> state) : state_(std::move(state)) {}
ProcessLedger::~ProcessLedger() = default;

Result<std::unique_ptr<ProcessLedger>> ProcessLedger::Open(UniqueFd memfd) {
  Result<PageFile> file = PageFile::Open(std::move(memfd));
  if (!file) return std::move(file).error();
  return std::unique_ptr<ProcessLedger>(new ProcessLedger(std::make_unique<State>(*std::move(file))));
}

Result<protocol::ProcessHeader> ProcessLedger::ReadHeader() { return state_->file.ReadHeader(); }

std::vector<AddressRange> ProcessLedger::Mappings() const { return state_->mapping_memory.Mappings(); }

Result<Unit> ProcessLedger::Capture(const CaptureOptions& options, snapshot::Rows* rows,
                                    snapshot::Snapshot* out) {
  if (Status size = state_->file.RefreshSize(); !size) return size;
  Result<protocol::ProcessHeader> header = state_->file.ReadHeader();
  if (!header) return std::move(header).error();
  return Capturing(options, *header, state_.get(), rows, out).Run();
}

}  // namespace leakhunt::ledger
