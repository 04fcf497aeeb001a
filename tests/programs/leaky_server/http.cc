#include "http.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace leaky {
namespace {

constexpr size_t kMaxRequestBytes = 16 * 1024;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void ParseQuery(std::string_view text, std::map<std::string, std::string>& query) {
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(pair.size() == text.size() ? pair.size() : pair.size() + 1);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    query[std::string(pair.substr(0, equals))] = std::string(pair.substr(equals + 1));
  }
}

size_t BodyLength(std::string_view head) {
  size_t at = head.find("Content-Length: ");
  return at == std::string_view::npos ? 0 : std::strtoul(head.data() + at + 16, nullptr, 10);
}

bool ReadMore(int connection, std::string& pending) {
  char buffer[4096];
  ssize_t got = recv(connection, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  pending.append(buffer, static_cast<size_t>(got));
  return pending.size() <= kMaxRequestBytes;
}

bool ParseRequestLine(std::string_view line, Request& request) {
  size_t first = line.find(' ');
  size_t second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return false;
  request.method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, second - first - 1);
  size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) ParseQuery(target.substr(question + 1), request.query);
  return true;
}

}  // namespace

std::string Request::Parameter(const std::string& name, std::string_view otherwise) const {
  auto found = query.find(name);
  return found == query.end() ? std::string(otherwise) : found->second;
}

bool ReadRequest(int connection, std::string& pending, Request& request) {
  size_t head_end;
  while ((head_end = pending.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore(connection, pending)) return false;
  }
  std::string head = pending.substr(0, head_end + 2);
  pending.erase(0, head_end + 4);
  size_t body_bytes = BodyLength(head);
  if (body_bytes > kMaxRequestBytes) return false;
  while (pending.size() < body_bytes) {
    if (!ReadMore(connection, pending)) return false;
  }
  request = Request{};
  request.body = pending.substr(0, body_bytes);
  pending.erase(0, body_bytes);
  return ParseRequestLine(std::string_view(head).substr(0, head.find("\r\n")), request);
}

bool WriteResponse(int connection, const Response& response) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + (response.status == 200 ? " OK" : " Error") +
                     "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(response.body.size()) +
                     "\r\n\r\n" + response.body;
  std::string_view rest = text;
  while (!rest.empty()) {
    ssize_t sent = send(connection, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

int ListenOnLoopback(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return -1;
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = Loopback(port);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(listener, 128) == 0) {
    return listener;
  }
  close(listener);
  return -1;
}

int PortOf(int listener) {
  sockaddr_in address{};
  socklen_t bytes = sizeof(address);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes);
  return ntohs(address.sin_port);
}

int ConnectToLoopback(int port) {
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return -1;
  int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address = Loopback(port);
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return connection;
  close(connection);
  return -1;
}

}  // namespace leaky
