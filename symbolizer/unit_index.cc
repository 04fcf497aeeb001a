// Decoding a unit's lines and scopes; see unit_index.h.
#include "symbolizer/unit_index.h"

#include <dwarf.h>

#include <algorithm>

#include "symbolizer/die.h"

namespace leakhunt::symbolizer {
namespace {

constexpr size_t kMostRanges = 8'000'000;  // of one unit; a real unit of 3 MB of code has 400,000
constexpr size_t kMostEntries = 64'000'000;
constexpr size_t kDeepest = 1024;

// Entries whose children may hold code.
bool MayHoldFunctions(int tag) {
  switch (tag) {
    case DW_TAG_compile_unit:
    case DW_TAG_skeleton_unit:
    case DW_TAG_partial_unit:
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_subprogram:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
    case DW_TAG_with_stmt:
      return true;
    default:
      return false;
  }
}

}  // namespace

// Where the walk over the tree stands: an entry, the scope around it, and its depth.
struct UnitIndex::Visit {
  Dwarf_Die die;
  int32_t scope;
  uint32_t depth;
};

UnitIndex::UnitIndex(Dwarf_Die unit, Dwarf_Die tree, const ElfFile& elf) : unit_(unit), tree_(tree) {
  directory_ = StringAttribute(&unit_, DW_AT_comp_dir);
  ReadLines(elf);
  ReadScopes(elf);
}

void UnitIndex::ReadLines(const ElfFile& elf) {
  Dwarf_Lines* table = nullptr;
  size_t count = 0;
  if (dwarf_getsrclines(&unit_, &table, &count) != 0) return;
  lines_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Dwarf_Line* row = dwarf_onesrcline(table, i);
    Dwarf_Addr address = 0;
    int line = 0, column = 0;
    bool end = false;
    if (row == nullptr || dwarf_lineaddr(row, &address) != 0) continue;
    dwarf_lineno(row, &line);
    dwarf_linecol(row, &column);
    dwarf_lineendsequence(row, &end);
    if (!end && !elf.IsCode(address)) continue;
    const char* file = dwarf_linesrc(row, nullptr, nullptr);
    lines_.push_back(Line{address, file, line, static_cast<uint16_t>(std::clamp(column, 0, 0xFFFF)), end});
  }
}

void UnitIndex::ReadScopes(const ElfFile& elf) {
  std::vector<Visit> stack{{tree_, -1, 0}};
  size_t entries = 0;
  while (!stack.empty() && ++entries < kMostEntries && ranges_.size() < kMostRanges) {
    Visit visit = stack.back();
    // The sibling takes this entry's place on the stack, the child goes on top.
    Dwarf_Die sibling;
    if (visit.depth > 0 && dwarf_siblingof(&visit.die, &sibling) == 0) {
      stack.back().die = sibling;
    } else {
      stack.pop_back();
    }
    if (!MayHoldFunctions(dwarf_tag(&visit.die))) continue;
    const int32_t scope = AddScope(&visit.die, visit, elf);
    Dwarf_Die child;
    if (visit.depth < kDeepest && dwarf_child(&visit.die, &child) == 0) {
      stack.push_back(Visit{child, scope, visit.depth + 1});
    }
  }
  map_ = AddressMap(std::move(ranges_));
  ranges_ = {};
}

// The scope that `die`'s children are in: itself when it is a function or an inlined call with code.
int32_t UnitIndex::AddScope(Dwarf_Die* die, const Visit& visit, const ElfFile& elf) {
  const int tag = dwarf_tag(die);
  if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine) return visit.scope;
  const int32_t scope = static_cast<int32_t>(scopes_.size());
  const size_t before = ranges_.size();
  ForEachRange(die, [&](uint64_t start, uint64_t end) {
    if (elf.IsCode(start)) ranges_.push_back(AddressRange{start, end, visit.depth, scope});
    return ranges_.size() < kMostRanges;
  });
  if (ranges_.size() == before) return visit.scope;
  const bool inlined = tag == DW_TAG_inlined_subroutine;
  scopes_.push_back(Scope{*die, inlined ? visit.scope : -1, inlined});
  return scope;
}

// The last row at or before `address`, unless that is the end of a sequence.
const UnitIndex::Line* UnitIndex::FindLine(uint64_t address) const {
  auto after = std::upper_bound(lines_.begin(), lines_.end(), address,
                                [](uint64_t value, const Line& line) { return value < line.address; });
  if (after == lines_.begin()) return nullptr;
  --after;
  return after->end ? nullptr : &*after;
}

std::string UnitIndex::FileName(const char* name) const {
  if (name == nullptr || *name == '\0' || std::string_view(name) == "???") return {};
  if (*name == '/' || *name == '<' || directory_.empty()) return name;
  return directory_ + "/" + name;
}

// File, line and column an inlined call was written at.
SourceFrame UnitIndex::CallSite(Dwarf_Die* inlined) {
  SourceFrame call;
  call.line = static_cast<uint32_t>(NumberAttribute(inlined, DW_AT_call_line));
  call.column = static_cast<uint32_t>(NumberAttribute(inlined, DW_AT_call_column));
  Dwarf_Files* files = nullptr;
  size_t count = 0;
  const uint64_t file = NumberAttribute(inlined, DW_AT_call_file);
  // Of split DWARF, the .dwo has a file table of its own.
  if (dwarf_getsrcfiles(&tree_, &files, &count) == 0 && file < count) {
    call.file = FileName(dwarf_filesrc(files, file, nullptr, nullptr));
  }
  return call;
}

FunctionKnown UnitIndex::Find(uint64_t address, std::vector<SourceFrame>* frames) {
  SourceFrame at;
  const Line* line = FindLine(address);
  if (line != nullptr) {
    at.file = FileName(line->file);
    at.line = static_cast<uint32_t>(std::max(line->line, 0));
    at.column = line->column;
  }
  int32_t index = map_.Find(address);
  if (index < 0) {
    if (line != nullptr) frames->push_back(at);
    return FunctionKnown::kNo;
  }
  bool full_name = true;
  for (; index >= 0; index = scopes_[index].parent) {
    Scope& scope = scopes_[index];
    at.function = FunctionName(&scope.die);
    at.inlined = scope.inlined && scope.parent >= 0;
    frames->push_back(at);
    full_name = HasFullName(&scope.die);
    if (scope.inlined) at = CallSite(&scope.die);
  }
  return full_name ? FunctionKnown::kFullName : FunctionKnown::kShortName;
}

}  // namespace leakhunt::symbolizer
