#include "collector/notice.h"

#include <unistd.h>

#include <cerrno>
#include <set>

#include "collector/base/clean_text.h"

namespace leakhunt {
namespace {

Verbosity g_verbosity = Verbosity::kNormal;
constexpr size_t kMaxTopics = 1024;

std::set<std::string>& SaidTopics() {
  static std::set<std::string> topics;
  return topics;
}

void WriteLine(const std::string& line) {
  const std::string text = MessageLine("leakhunt-collect", line);
  while (write(STDERR_FILENO, text.data(), text.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace

void SetVerbosity(Verbosity verbosity) { g_verbosity = verbosity; }
Verbosity GetVerbosity() { return g_verbosity; }

void Notice(const std::string& line) {
  if (g_verbosity != Verbosity::kQuiet) WriteLine(line);
}

void Detail(const std::string& line) {
  if (g_verbosity == Verbosity::kVerbose) WriteLine(line);
}

void NoticeOnce(const std::string& topic, const std::string& line) {
  if (SaidTopics().size() >= kMaxTopics) SaidTopics().clear();
  if (SaidTopics().insert(topic).second) Notice(line);
}

void ClearNotice(const std::string& topic) { SaidTopics().erase(topic); }

}  // namespace leakhunt
