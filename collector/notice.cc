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
  if (g_verbosity >= Verbosity::kNormal) WriteLine(line);
}

void Warn(const std::string& line) {
  if (g_verbosity >= Verbosity::kWarnings) WriteLine(line);
}

void Detail(const std::string& line) {
  if (g_verbosity == Verbosity::kVerbose) WriteLine(line);
}

namespace {

bool IsNewTopic(const std::string& topic) {
  if (SaidTopics().size() >= kMaxTopics) SaidTopics().clear();
  return SaidTopics().insert(topic).second;
}

}  // namespace

void NoticeOnce(const std::string& topic, const std::string& line) {
  if (IsNewTopic(topic)) Notice(line);
}

void WarnOnce(const std::string& topic, const std::string& line) {
  if (IsNewTopic(topic)) Warn(line);
}

void ClearNotice(const std::string& topic) { SaidTopics().erase(topic); }

}  // namespace leakhunt
