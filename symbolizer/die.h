// Reading single attributes of DWARF entries, defects as "absent".
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <string>

namespace leakhunt::symbolizer {

// Following abstract origins and specifications; "" when absent.
std::string StringAttribute(Dwarf_Die* die, unsigned attribute);
// Of this entry alone; 0 when absent.
uint64_t NumberAttribute(Dwarf_Die* die, unsigned attribute);

// The linkage name where it can be demangled, else the plain name; "" when it has neither.
std::string FunctionName(Dwarf_Die* die);
// True when FunctionName is a full one: it was demangled, or the language does not mangle.
bool HasFullName(Dwarf_Die* die);

// Calls visit(start, end) for each address range of `die` until it returns false.
template <typename Visitor>
void ForEachRange(Dwarf_Die* die, Visitor visit) {
  Dwarf_Addr base = 0, start = 0, end = 0;
  ptrdiff_t offset = 0;
  while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0) {
    if (start < end && !visit(start, end)) return;
  }
}

}  // namespace leakhunt::symbolizer
