// Units of a file by address; see dwarf_index.h.
#include "symbolizer/dwarf_index.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>

#include <algorithm>
#include <cstring>

#include "symbolizer/die.h"

namespace leakhunt::symbolizer {
namespace {

constexpr size_t kMostRanges = 16'000'000;
constexpr size_t kMostUnits = 4'000'000;
constexpr size_t kMostWithoutRanges = 4096;

}  // namespace

std::unique_ptr<DwarfIndex> DwarfIndex::Open(const ElfFile& elf, std::unique_ptr<ElfFile> alternate,
                                             std::string* error) {
  Dwarf* dwarf = dwarf_begin_elf(elf.elf(), DWARF_C_READ, nullptr);
  if (dwarf == nullptr) {
    *error = dwarf_errmsg(-1);
    return nullptr;
  }
  std::unique_ptr<DwarfIndex> index(new DwarfIndex(elf, dwarf));
  if (alternate != nullptr) {
    index->alternate_elf_ = std::move(alternate);
    index->alternate_ = dwarf_begin_elf(index->alternate_elf_->elf(), DWARF_C_READ, nullptr);
    if (index->alternate_ != nullptr) dwarf_setalt(dwarf, index->alternate_);
  }
  index->ReadUnits();
  return index;
}

DwarfIndex::~DwarfIndex() {
  dwarf_end(dwarf_);
  if (alternate_ != nullptr) dwarf_end(alternate_);
}

void DwarfIndex::ReadUnits() {
  Dwarf_CU* unit = nullptr;
  Dwarf_Half version = 0;
  uint8_t type = 0;
  Dwarf_Die die, tree;
  while (units_.size() < kMostUnits && dwarf_get_units(dwarf_, unit, &unit, &version, &type, &die, &tree) == 0) {
    if (type != DW_UT_compile && type != DW_UT_skeleton) continue;
    if (dwarf_tag(&die) == DW_TAG_partial_unit) continue;
    const bool split = type == DW_UT_skeleton && tree.cu != nullptr;
    const size_t number = units_.size();
    const size_t before = ranges_.size();
    ForEachRange(&die, [&](uint64_t start, uint64_t end) {
      if (elf_.IsCode(start)) ranges_.push_back(Range{start, end, 0, number});
      return ranges_.size() < kMostRanges;
    });
    units_.push_back(Unit{die, split ? tree : die, nullptr, ranges_.size() > before});
    if (!units_.back().has_ranges && dwarf_hasattr(&die, DW_AT_stmt_list)) without_ranges_.push_back(number);
  }
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& left, const Range& right) { return left.start < right.start; });
  uint64_t reach = 0;
  for (Range& range : ranges_) range.reach = reach = std::max(reach, range.end);
  if (without_ranges_.size() > kMostWithoutRanges) without_ranges_.resize(kMostWithoutRanges);
}

// Units with a range around `address`, the narrowest range first.
std::vector<size_t> DwarfIndex::Covering(uint64_t address) const {
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                [](uint64_t value, const Range& range) { return value < range.start; });
  std::vector<const Range*> found;
  while (after != ranges_.begin() && found.size() < 64) {
    const Range& range = *--after;
    if (range.reach <= address) break;
    if (address < range.end) found.push_back(&range);
  }
  std::stable_sort(found.begin(), found.end(), [](const Range* left, const Range* right) {
    return left->end - left->start < right->end - right->start;
  });
  std::vector<size_t> units;
  for (const Range* range : found) {
    if (std::find(units.begin(), units.end(), range->unit) == units.end()) units.push_back(range->unit);
  }
  return units;
}

UnitIndex& DwarfIndex::Index(size_t unit) {
  Unit& found = units_[unit];
  if (found.index == nullptr) found.index = std::make_unique<UnitIndex>(found.die, found.tree, elf_);
  return *found.index;
}

FunctionKnown DwarfIndex::Find(uint64_t address, std::vector<SourceFrame>* frames) {
  std::vector<SourceFrame> line_only;
  std::vector<size_t> candidates = Covering(address);
  candidates.insert(candidates.end(), without_ranges_.begin(), without_ranges_.end());
  for (size_t unit : candidates) {
    std::vector<SourceFrame> found;
    const FunctionKnown known = Index(unit).Find(address, &found);
    if (known != FunctionKnown::kNo) {
      *frames = std::move(found);
      return known;
    }
    if (line_only.empty()) line_only = std::move(found);
  }
  *frames = std::move(line_only);
  return FunctionKnown::kNo;
}

AlternateLink FindAlternateLink(const ElfFile& elf) {
  AlternateLink link;
  size_t names = 0;
  if (elf_getshdrstrndx(elf.elf(), &names) != 0) return link;
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf.elf(), section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* name = elf_strptr(elf.elf(), names, header.sh_name);
    if (name == nullptr || std::strcmp(name, ".gnu_debugaltlink") != 0) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return link;
    const char* text = static_cast<const char*>(data->d_buf);
    const size_t length = strnlen(text, data->d_size);
    if (length == 0 || length + 1 >= data->d_size || data->d_size - length - 1 > 64) return link;
    return AlternateLink{std::string(text, length), ToHex(text + length + 1, data->d_size - length - 1)};
  }
  return link;
}

}  // namespace leakhunt::symbolizer
