// From a pc to a rule: module, FDE, row, packed word; rows that do not fit a word are stored for ever, bounded.
#include "preload/unwind/rule_source.h"

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/unwind/module_map.h"
#include "preload/unwind/packed_rule.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kMaxStoredRows = 4096;  // 0.7 MB: programs need dozens; beyond, rows are decoded each time

constexpr uint64_t kStartBytes = 64;     // of _start, which has no CFI in some libcs

constinit uint32_t g_stored_rows = 0;
constinit uint64_t g_decoded_rows = 0;

using ProgramRow = Row<X86_64>;

// What the kernel pushes for a signal handler (struct rt_sigframe), as a row: registers lie at sp + 40 + 8 * index in
// the order of ucontext's gregs. For libcs whose trampoline has no CFI (musl).
constexpr ProgramRow SignalFrameRow() {
  constexpr uint8_t kOrder[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};  // DWARF numbers
  ProgramRow row;
  row.cfa = {Where::kCfaPlus, X86_64::kStackPointer, 0, 0};
  row.signal_frame = true;
  for (int i = 0; i < 17; ++i) row.registers[kOrder[i]] = {Where::kAtCfa, 0, 0, 40 + 8 * i};
  return row;
}
constinit const ProgramRow g_signal_frame_row = SignalFrameRow();

// mov $15,%eax (or %rax); syscall: the tail of every x86-64 signal trampoline.
bool IsSignalTrampoline(const UnwindSections& sections, uint64_t pc) {
  static constexpr uint8_t kLong[] = {0x48, 0xC7, 0xC0, 0x0F, 0, 0, 0, 0x0F, 0x05};
  static constexpr uint8_t kShort[] = {0xB8, 0x0F, 0, 0, 0, 0x0F, 0x05};
  Extent text = sections.SegmentOf(pc);
  if (text.end == 0 || text.end - pc < sizeof(kLong)) return false;
  const void* code = reinterpret_cast<const void*>(pc);
  return __builtin_memcmp(code, kLong, sizeof(kLong)) == 0 || __builtin_memcmp(code, kShort, sizeof(kShort)) == 0;
}

const ProgramRow* Store(const ProgramRow& row) {
  if (sys::LoadRelaxed(&g_stored_rows) >= kMaxStoredRows) return nullptr;
  sys::AddRelaxed(&g_stored_rows, 1u);
  void* memory = sys::Carve(sizeof(ProgramRow));
  if (memory == nullptr) return nullptr;
  sys::Copy(memory, &row, sizeof(row));
  return static_cast<const ProgramRow*>(memory);
}

uint64_t Decode(const UnwindSections& sections, uint64_t lookup, ProgramRow* row) {
  FrameDescription description;
  if (!FindFrameDescription(sections, lookup, &description)) {
    if (lookup - sections.entry < kStartBytes) return PackTerminal(Terminal::kBottom);
    return IsSignalTrampoline(sections, lookup + 1) ? PackRow(&g_signal_frame_row) : PackTerminal(Terminal::kNoCfi);
  }
  if (BuildRow(description, lookup, row) != RowError::kNone) return PackTerminal(Terminal::kUnsupported);
  if (row->registers[row->return_slot].where == Where::kUndefined) return PackTerminal(Terminal::kBottom);
  uint64_t rule = 0;
  return PackSimple(*row, &rule) ? rule : 0;
}

}  // namespace

uint64_t RuleFor(const RuleTable& table, uint64_t lookup, ProgramRow* scratch) {
  FoundRule found = FindRule(table, lookup);
  if (found.entry != nullptr) return found.rule;
  UnwindSections sections;
  if (FindModule(lookup, &sections) != ModuleLookup::kFound) return 0;
  sys::AddRelaxed(&g_decoded_rows, uint64_t{1});
  uint64_t rule = Decode(sections, lookup, scratch);
  if (rule == 0) {
    const ProgramRow* stored = Store(*scratch);
    if (stored == nullptr) return PackRow(scratch);
    rule = PackRow(stored);
  }
  InsertRule(table, lookup, rule);
  return rule;
}

uint64_t DecodedRows() { return sys::LoadRelaxed(&g_decoded_rows); }

}  // namespace leakhunt::unwind
