// The r-commands: connections that libc makes.
#include <netdb.h>

#include "preload/hooks/handle_hook.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;
using hooks::Opened;

namespace {

LEAKHUNT_REAL hooks::Real<int(char**, unsigned short, const char*, const char*, const char*, int*)> real_rcmd("rcmd");
LEAKHUNT_REAL hooks::Real<int(char**, unsigned short, const char*, const char*, const char*, int*, sa_family_t)> real_rcmd_af("rcmd_af");
LEAKHUNT_REAL hooks::Real<int(char**, int, const char*, const char*, const char*, int*)> real_rexec("rexec");
LEAKHUNT_REAL hooks::Real<int(char**, int, const char*, const char*, const char*, int*, sa_family_t)> real_rexec_af("rexec_af");
LEAKHUNT_REAL hooks::Real<int(int*)> real_rresvport("rresvport");
LEAKHUNT_REAL hooks::Real<int(int*, sa_family_t)> real_rresvport_af("rresvport_af");

int Connected(const Caller& caller, int fd, const int* second) {
  if (fd >= 0 && second != nullptr) Opened(caller, *second, HandleType::kTcp);
  return Opened(caller, fd, HandleType::kTcp);
}

}  // namespace

LEAKHUNT_HOOK int rcmd(char** host, unsigned short port, const char* local, const char* remote, const char* command, int* second) {
  return Connected(Caller(), CallReal(real_rcmd, host, port, local, remote, command, second), second);
}
LEAKHUNT_HOOK int rcmd_af(char** host, unsigned short port, const char* local, const char* remote, const char* command,
                          int* second, sa_family_t family) {
  return Connected(Caller(), CallReal(real_rcmd_af, host, port, local, remote, command, second, family), second);
}
LEAKHUNT_HOOK int rexec(char** host, int port, const char* user, const char* password, const char* command, int* second) {
  return Connected(Caller(), CallReal(real_rexec, host, port, user, password, command, second), second);
}
LEAKHUNT_HOOK int rexec_af(char** host, int port, const char* user, const char* password, const char* command, int* second,
                           sa_family_t family) {
  return Connected(Caller(), CallReal(real_rexec_af, host, port, user, password, command, second, family), second);
}
LEAKHUNT_HOOK int rresvport(int* port) { return Opened(Caller(), CallReal(real_rresvport, port), HandleType::kTcp); }
LEAKHUNT_HOOK int rresvport_af(int* port, sa_family_t family) {
  return Opened(Caller(), CallReal(real_rresvport_af, port, family), HandleType::kTcp);
}
