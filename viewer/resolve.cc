#include "viewer/resolve.h"

#include <fmt/format.h>

#include "symbolizer/symbolizer.h"
#include "viewer/frame_kind.h"
#include "viewer/render/function_name.h"

namespace leakhunt::viewer {
namespace {

symbolizer::Options SymbolOptions(const Options& options, const std::filesystem::path& directory) {
  symbolizer::Options o;
  o.enabled = options.symbols;
  o.debug_dirs = options.debug_dirs;
  o.sysroot = options.sysroot;
  std::error_code ignored;
  if (std::filesystem::is_directory(directory / "symbols", ignored)) o.bundle_dir = directory / "symbols";
  return o;
}

// Frames at the innermost end that only carry out the request.
void DropAllocatorFrames(std::vector<const ResolvedFrame*>& stack) {
  size_t drop = 0;
  while (drop < stack.size() && IsAllocatorFrame(stack[drop]->module, stack[drop]->function)) ++drop;
  if (drop < stack.size()) stack.erase(stack.begin(), stack.begin() + static_cast<std::ptrdiff_t>(drop));
}

}  // namespace

Resolver::Resolver(const snapshot::Snapshot& snapshot, const Options& options, const std::filesystem::path& directory)
    : snapshot_(snapshot),
      symbols_(options.symbols),
      symbolizer_(std::make_unique<symbolizer::Symbolizer>(SymbolOptions(options, directory))),
      frames_(snapshot.frames.size()) {
  std::filesystem::path jit_map = directory / fmt::format("perf-{}.map", snapshot.process.pid);
  std::error_code ignored;
  if (symbols_ && std::filesystem::exists(jit_map, ignored)) symbolizer_->AddJitMap(jit_map);
}

Resolver::~Resolver() = default;

const std::vector<ResolvedFrame>& Resolver::Frames(uint32_t index) {
  const snapshot::Frame& frame = snapshot_.frames[index];
  std::vector<ResolvedFrame>& out = frames_[index];
  if (!out.empty()) return out;
  bool exact = (frame.flags & snapshot::kFrameExact) != 0 || frame.offset == 0;
  ResolvedFrame base;
  base.offset = exact ? frame.offset : frame.offset - 1;
  static const std::vector<symbolizer::SourceFrame> kNothing;
  const std::vector<symbolizer::SourceFrame>* found = &kNothing;
  if (frame.module == snapshot::kNoModule) {
    if (symbols_) found = &symbolizer_->LookupJit(base.offset);
  } else {
    const snapshot::Module& module = snapshot_.modules[frame.module];
    base.module = module.path;
    base.build_id = module.build_id;
    if (symbols_) found = &symbolizer_->Lookup({module.path, module.build_id}, base.offset);
  }
  if (found->empty()) out.push_back(base);
  for (const symbolizer::SourceFrame& source : *found) {
    ResolvedFrame resolved = base;
    resolved.function = source.function;
    resolved.file = source.file;
    resolved.line = source.line;
    resolved.column = source.column;
    resolved.inlined = source.inlined;
    out.push_back(std::move(resolved));
  }
  return out;
}

const ResolvedStack& Resolver::Stack(uint32_t stack) {
  auto [at, fresh] = stacks_.try_emplace(stack);
  if (!fresh || stack >= snapshot_.stacks.size()) return at->second;
  std::vector<const ResolvedFrame*>& frames = at->second.frames_;
  for (uint32_t frame : snapshot_.stacks[stack].frames) {
    for (const ResolvedFrame& resolved : Frames(frame)) frames.push_back(&resolved);
  }
  DropAllocatorFrames(frames);
  return at->second;
}

std::vector<std::string> Resolver::Warnings() const {
  auto warnings = symbolizer_->Warnings();
  return {warnings.begin(), warnings.end()};
}

size_t OwnFramePlace(const ResolvedStack& stack) {
  for (size_t i = 0; i < stack.size(); ++i) {
    if (!IsRuntimeFrame(stack[i].module, stack[i].function, stack[i].file)) return i;
  }
  return 0;
}

const ResolvedFrame* OwnFrame(const ResolvedStack& stack) { return stack.empty() ? nullptr : &stack[OwnFramePlace(stack)]; }

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string PlaceName(const ResolvedFrame* frame) {
  if (frame == nullptr) return "(unknown)";
  std::string module(BaseName(frame->module));
  if (frame->function.empty()) {
    return module.empty() ? fmt::format("{:#x}", frame->offset) : fmt::format("{}+{:#x}", module, frame->offset);
  }
  std::string function = ShortFunction(frame->function);
  if (frame->file.empty()) return module.empty() ? function : function + " " + module;
  return fmt::format("{} {}:{}", function, BaseName(frame->file), frame->line);
}

std::string FrameName(const ResolvedFrame& frame, NameStyle style) {
  std::string_view module = BaseName(frame.module);
  if (frame.function.empty()) return PlaceName(&frame);
  std::string function = style == NameStyle::kShort ? ShortFunction(frame.function) : frame.function;
  if (!frame.file.empty()) return fmt::format("{} ({}:{})", function, BaseName(frame.file), frame.line);
  return module.empty() ? function : fmt::format("{} ({})", function, module);
}

}  // namespace leakhunt::viewer
