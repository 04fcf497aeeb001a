#include "viewer/render/function_name.h"

#include <string_view>

namespace leakhunt::viewer {
namespace {

constexpr std::string_view kAnonymous = "(anonymous namespace)";

// Length of an operator's name at the start of `text`, its symbols included: "operator<<", "operator()"; 0 for none.
size_t OperatorLength(std::string_view text) {
  constexpr std::string_view kWord = "operator";
  if (!text.starts_with(kWord)) return 0;
  size_t end = kWord.size();
  if (text.substr(end).starts_with("()") || text.substr(end).starts_with("[]")) return end + 2;
  while (end < text.size() && std::string_view("<>=!+-*/%&|^~,").find(text[end]) != std::string_view::npos) ++end;
  return end;
}

// Position after the bracket that closes the one at `start`; npos when none does.
size_t AfterClosing(std::string_view text, size_t start) {
  int depth = 0;
  for (size_t i = start; i < text.size(); ++i) {
    if (text[i] == '<' || text[i] == '(') ++depth;
    if (text[i] == ')' || (text[i] == '>' && i > 0 && text[i - 1] != '-')) --depth;
    if (depth == 0) return i + 1;
  }
  return std::string_view::npos;
}

// Where the name begins: after the last space that separates a return type from it.
size_t AfterReturnType(const std::string& name) {
  size_t end = name.find("operator");
  size_t start = 0;
  for (size_t i = 0; i < name.size() && i < end; ++i) {
    if (name.compare(i, kAnonymous.size(), kAnonymous) == 0) {
      i += kAnonymous.size() - 1;
    } else if (name[i] == ' ') {
      start = i + 1;
    }
  }
  return start;
}

}  // namespace

std::string ShortFunction(const std::string& function) {
  std::string_view text = function;
  if (text.starts_with('<')) return function;  // Rust's <T as Trait>::method
  std::string name;
  for (size_t i = 0; i < text.size();) {
    if (size_t length = OperatorLength(text.substr(i)); length > 0) {
      name += text.substr(i, length);
      i += length;
    } else if (text.substr(i).starts_with(kAnonymous)) {
      name += kAnonymous;
      i += kAnonymous.size();
    } else if (text[i] == '<' || text[i] == '(') {
      i = AfterClosing(text, i);
      if (i == std::string_view::npos) return function;
    } else {
      name += text[i++];
    }
  }
  if (size_t qualifier = name.rfind(" const"); qualifier != std::string::npos && qualifier + 6 == name.size()) {
    name.resize(qualifier);
  }
  size_t clone = name.find(" [clone");
  std::string suffix = clone == std::string::npos ? "" : name.substr(clone);
  if (clone != std::string::npos) name.resize(clone);
  name.erase(name.find_last_not_of(' ') + 1);
  name.erase(0, AfterReturnType(name));
  return name.empty() ? function : name + suffix;
}

}  // namespace leakhunt::viewer
