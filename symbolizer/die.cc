// Attributes of DWARF entries; see die.h.
#include "symbolizer/die.h"

#include <dwarf.h>

#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {
namespace {

const char* LinkageName(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  for (unsigned name : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    if (dwarf_attr_integrate(die, name, &attribute) == nullptr) continue;
    const char* text = dwarf_formstring(&attribute);
    if (text != nullptr && *text != '\0') return text;
  }
  return nullptr;
}

}  // namespace

std::string StringAttribute(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(die, name, &attribute) == nullptr) return {};
  const char* text = dwarf_formstring(&attribute);
  return text == nullptr ? std::string() : std::string(text);
}

uint64_t NumberAttribute(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(die, name, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0) return 0;
  return value;
}

std::string FunctionName(Dwarf_Die* die) {
  const char* linkage = LinkageName(die);
  if (linkage == nullptr) return StringAttribute(die, DW_AT_name);
  std::string name = Demangle(linkage);
  if (name != linkage) return name;
  // An assembler alias, such as glibc's __GI_getaddrinfo: the programmer wrote getaddrinfo.
  const std::string plain = StringAttribute(die, DW_AT_name);
  return plain.empty() ? name : plain;
}

bool HasFullName(Dwarf_Die* die) {
  const char* linkage = LinkageName(die);
  if (linkage != nullptr && Demangle(linkage) != linkage) return true;
  Dwarf_Die unit;
  if (dwarf_diecu(die, &unit, nullptr, nullptr) == nullptr) return false;
  switch (dwarf_srclang(&unit)) {
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case DW_LANG_Mips_Assembler:
    case DW_LANG_Go:
    case DW_LANG_Fortran77:
    case DW_LANG_Fortran90:
    case DW_LANG_Fortran95:
    case DW_LANG_Fortran03:
    case DW_LANG_Fortran08:
      return true;
    default:
      return false;
  }
}

}  // namespace leakhunt::symbolizer
