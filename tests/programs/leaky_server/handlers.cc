#include "handlers.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

// The handlers are static rather than in an unnamed namespace: shorter names in a report.
namespace leaky {

// What is kept about a filed report until it is archived.
struct AuditEntry {
  char author[64];
  char text[4000];
};

static void Archive(std::unique_ptr<AuditEntry> entry) { entry->author[0] = '\0'; }

static Response handle_report(Service&, const Request& request) {
  auto* entry = new AuditEntry{};
  std::strncpy(entry->author, request.Parameter("author", "nobody").c_str(), sizeof(entry->author) - 1);
  request.body.copy(entry->text, sizeof(entry->text) - 1);

  std::vector<std::string> words;
  for (size_t at = 0; at < request.body.size(); at += 7) words.push_back(request.body.substr(at, 7));
  std::sort(words.begin(), words.end());

  if (request.Parameter("state") != "draft") Archive(std::unique_ptr<AuditEntry>(entry));
  return {200, "filed " + std::to_string(words.size()) + " words\n"};
}

static std::string RenderPage(const Service& service, const std::string& key) {
  std::string page = "<h1>" + key + "</h1>\n";
  size_t seed = std::hash<std::string>{}(key);
  while (page.size() < 4096) page += service.rates.Rate(seed += 7919) + "\n";
  return page;
}

static Response handle_page(Service& service, const Request& request) {
  std::string key = request.Parameter("key", "index");
  std::string page = service.pages.Find(key);
  if (page.empty()) {
    page = RenderPage(service, key);
    service.pages.Insert(key, page);
  }
  return {200, page};
}

static Response handle_quote(Service& service, const Request& request) {
  int upstream = ConnectToLoopback(service.upstream_port);
  if (upstream < 0) return {503, std::string("no upstream: ") + std::strerror(errno) + "\n"};
  std::string question = request.Parameter("pair", "0") + "\n";
  char answer[64] = {};
  if (send(upstream, question.data(), question.size(), MSG_NOSIGNAL) < 0 ||
      recv(upstream, answer, sizeof(answer) - 1, 0) < 0) {
    close(upstream);
    return {502, "upstream is gone\n"};
  }
  if (std::strncmp(answer, "busy", 4) == 0) return {503, "upstream is busy, try again\n"};
  close(upstream);
  return {200, answer};
}

static Response handle_status(Service& service, const Request&) {
  return {200, "requests " + std::to_string(service.requests.load()) + "\nrates " +
                   std::to_string(service.rates.size()) + "\npages " + std::to_string(service.pages.size()) + "\n"};
}

namespace {

struct Route {
  const char* path;
  Response (*handler)(Service&, const Request&);
};

constexpr Route kRoutes[] = {
    {"/report", handle_report}, {"/page", handle_page}, {"/quote", handle_quote}, {"/status", handle_status}};

}  // namespace

Response Dispatch(Service& service, const Request& request) {
  service.requests.fetch_add(1, std::memory_order_relaxed);
  for (const Route& route : kRoutes) {
    if (request.path == route.path) return route.handler(service, request);
  }
  return {404, "no such path\n"};
}

}  // namespace leaky
