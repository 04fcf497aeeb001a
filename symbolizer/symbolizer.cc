// The symbolizer: modules by build-id and path, each opened at its first address, each address resolved once.
#include "symbolizer/symbolizer.h"

#include <unordered_map>

#include "symbolizer/debug_files.h"
#include "symbolizer/dwarf_index.h"
#include "symbolizer/jit_map.h"
#include "symbolizer/symbol_table.h"

namespace leakhunt::symbolizer {
namespace {

constexpr size_t kMostWarnings = 1000;

// What is known of one module, in the order in which it is asked.
struct ModuleSymbols {
  ModuleFiles files;
  std::unique_ptr<DwarfIndex> dwarf;
  std::vector<SymbolTable> tables;  // of the debug file, then of the code
  std::unordered_map<uint64_t, std::vector<SourceFrame>> cache;
};

// The linker's name; empty when unknown.
std::string SymbolName(const ModuleSymbols& module, uint64_t address) {
  for (const SymbolTable& table : module.tables) {
    std::string name = table.Find(address);
    if (!name.empty()) return name;
  }
  return {};
}

// Name of a physical function that DWARF calls `plain`, without its class: the symbol says more when it is mangled.
// "[clone .cold]" and its like are dropped, for DWARF counts such parts to the whole function.
std::string LongerName(const std::string& plain, const std::string& symbol) {
  std::string name = Demangle(symbol);
  if (name == symbol) return plain;
  return name.substr(0, name.find(" [clone ."));
}

std::vector<SourceFrame> Resolve(ModuleSymbols& module, uint64_t address) {
  std::vector<SourceFrame> frames;
  FunctionKnown known = FunctionKnown::kNo;
  if (module.dwarf != nullptr) known = module.dwarf->Find(address, &frames);
  if (known == FunctionKnown::kFullName) return frames;
  const std::string symbol = SymbolName(module, address);
  if (symbol.empty()) return frames;
  if (frames.empty()) frames.emplace_back();
  // Inlined frames keep their names; the physical function is the last one.
  std::string& function = frames.back().function;
  function = known == FunctionKnown::kShortName ? LongerName(function, symbol) : Demangle(symbol);
  return frames;
}

}  // namespace

struct Symbolizer::Impl {
  explicit Impl(Options given) : options(std::move(given)), files(options) {}

  ModuleSymbols& Module(const ModuleId& id);
  void Load(const ModuleId& id, ModuleSymbols* module);
  void Warn(std::vector<std::string> lines);

  Options options;
  DebugFiles files;
  std::unordered_map<std::string, ModuleSymbols> modules;  // by build-id and path
  JitMap jit;
  std::unordered_map<uint64_t, std::vector<SourceFrame>> jit_cache;
  std::vector<std::string> warnings;
};

void Symbolizer::Impl::Warn(std::vector<std::string> lines) {
  for (std::string& line : lines) {
    if (warnings.size() < kMostWarnings) warnings.push_back(std::move(line));
  }
}

void Symbolizer::Impl::Load(const ModuleId& id, ModuleSymbols* module) {
  std::vector<std::string> lines;
  module->files = files.Find(id, &lines);
  if (module->files.code == nullptr && module->files.debug == nullptr && lines.empty() && IsFileName(id.path)) {
    lines.push_back("no symbols for " + id.path + (id.build_id.empty() ? "" : " (build-id " + id.build_id + ")") +
                    ": neither the file nor its debug file is here");
  }
  if (const ElfFile* with_dwarf = module->files.WithDwarf(); with_dwarf != nullptr) {
    std::string error;
    module->dwarf = DwarfIndex::Open(*with_dwarf, std::move(module->files.alternate), &error);
    if (module->dwarf == nullptr) lines.push_back("cannot read debug info of " + with_dwarf->path() + ": " + error);
  }
  for (const ElfFile* file : {module->files.debug.get(), module->files.code.get()}) {
    if (file != nullptr) module->tables.emplace_back(file->elf());
  }
  Warn(std::move(lines));
}

ModuleSymbols& Symbolizer::Impl::Module(const ModuleId& id) {
  auto [found, created] = modules.try_emplace(id.build_id + '\0' + id.path);
  if (created) Load(id, &found->second);
  return found->second;
}

Symbolizer::Symbolizer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Symbolizer::~Symbolizer() = default;

const std::vector<SourceFrame>& Symbolizer::Lookup(const ModuleId& id, uint64_t address) {
  static const std::vector<SourceFrame> kNone;
  if (!impl_->options.enabled) return kNone;
  ModuleSymbols& module = impl_->Module(id);
  auto [found, created] = module.cache.try_emplace(address);
  if (created) found->second = Resolve(module, address);
  return found->second;
}

Symbolizer& Symbolizer::AddJitMap(const std::string& perf_map_path) {
  Status added = impl_->jit.Add(perf_map_path);
  if (!added) impl_->Warn({added.error().message});
  impl_->jit_cache.clear();
  return *this;
}

const std::vector<SourceFrame>& Symbolizer::LookupJit(uint64_t address) {
  auto [found, created] = impl_->jit_cache.try_emplace(address);
  if (created) {
    const std::string& name = impl_->jit.Find(address);
    if (!name.empty()) found->second.push_back(SourceFrame{Demangle(name), "", 0, 0, false});
  }
  return found->second;
}

std::span<const std::string> Symbolizer::Warnings() const { return impl_->warnings; }

}  // namespace leakhunt::symbolizer
