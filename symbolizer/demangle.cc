// Demangling: linker names of C++ (Itanium) and Rust (legacy, v0) into what the programmer wrote.
//
// Host process, any thread. libiberty does the work, because __cxa_demangle refuses Rust's v0 names. Names come out of
// foreign files: substitutions can make a short name print for ever, so the output has a bound, and the printing is
// left by longjmp once that is passed (libiberty prints from stack memory).
#include <csetjmp>
#include <cstring>
#include <string>

#define HAVE_DECL_BASENAME 1  // libiberty declares its own otherwise, against <cstring>
#include <libiberty/demangle.h>

#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {
namespace {

constexpr size_t kLongestMangled = 16 * 1024;
constexpr size_t kLongestDemangled = 64 * 1024;

// Plain data: longjmp skips destructors.
struct Output {
  std::jmp_buf overflow;
  size_t size;
  char text[kLongestDemangled];
};

void Append(const char* text, size_t size, void* opaque) {
  Output* output = static_cast<Output*>(opaque);
  if (size > kLongestDemangled - output->size) std::longjmp(output->overflow, 1);
  std::memcpy(output->text + output->size, text, size);
  output->size += size;
}

using Printer = int (*)(const char* mangled, int options, demangle_callbackref callback, void* opaque);

bool Print(Printer printer, const char* mangled, Output* output) {
  output->size = 0;
  if (setjmp(output->overflow) != 0) return false;
  return printer(mangled, DMGL_PARAMS | DMGL_ANSI, Append, output) != 0 && output->size > 0;
}

bool Mangled(const std::string& name, const char* prefix) { return name.compare(0, std::strlen(prefix), prefix) == 0; }

}  // namespace

std::string Demangle(const std::string& mangled) {
  const bool itanium = Mangled(mangled, "_Z") || Mangled(mangled, "___Z");
  const bool rust = Mangled(mangled, "_R");
  if ((!itanium && !rust) || mangled.size() > kLongestMangled || mangled.find('\0') != std::string::npos) {
    return mangled;
  }
  static thread_local Output output;
  // Rust's legacy names are Itanium names with a hash at the end: rust_demangle knows them, and refuses C++.
  if (Print(rust_demangle_callback, mangled.c_str(), &output)) return std::string(output.text, output.size);
  if (itanium && Print(cplus_demangle_v3_callback, mangled.c_str(), &output)) {
    return std::string(output.text, output.size);
  }
  return mangled;
}

}  // namespace leakhunt::symbolizer
