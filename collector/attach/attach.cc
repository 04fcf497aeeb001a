#include "collector/attach/attach.h"

#include <unistd.h>

#include "collector/attach/guest_pages.h"
#include "collector/attach/injection.h"
#include "collector/ingest/service.h"
#include "collector/notice.h"

namespace leakhunt::attach {
namespace {

using Found = GuestPages::Found;

// The pages of a process that records, the library loaded into it where it was not there; or kNotPermitted.
Result<GuestPages> PagesOfRecording(const Options& options) {
  auto pages = TakePages(options.attach_pid);
  if (!pages || pages->found == Found::kNotPermitted) return pages;
  if (pages->found == Found::kPages && (pages->flags & protocol::kFlagDetached) == 0) return pages;
  if (Status injected = Inject(options.attach_pid, options); !injected) return injected.error();
  pages = TakePages(options.attach_pid);
  if (pages && pages->found != Found::kPages) return Error{"process " + std::to_string(options.attach_pid) + " ended meanwhile"};
  return pages;
}

// Whether the process could come to us: one that was started with the library looks for its user's collector.
bool MayCome(const Options& options) {
  auto process = watch::ProcDirectory::Open(options.attach_pid);
  auto status = process ? process->Read("status") : std::nullopt;
  return status && watch::NumberAfter(*status, "Uid:").value_or(~0ull) == geteuid();
}

// Opens the usual door to this one process.
Result<UniqueFd> OpenDoor(const Options& options, ingest::Service* service) {
  ingest::Address address = ingest::ChooseAddress(options.socket);
  if (Status ready = ingest::PrepareDirectory(address); !ready) return ready.error();
  auto lock = ingest::TakeLock(address);
  if (!lock) return lock.error();
  if (!*lock) return Error{"another collector serves " + address.path.native() + ", and records the process"};
  auto listening = ingest::Listen(address);
  if (!listening) return listening.error();
  service->Door().AdmitOnly(options.attach_pid);
  if (Status open = service->Door().Open(std::move(*listening)); !open) return open.error();
  return std::move(**lock);
}

}  // namespace

Result<int> RecordProcess(const Options& options, record::OnWritten on_written) {
  auto service = ingest::Service::Create(options, ingest::Mode::kAttach, ingest::ServiceSignals());
  if (!service) return service.error();
  auto pages = PagesOfRecording(options);
  if (!pages) return pages.error();
  ingest::SessionTable& sessions = (*service)->Sessions();
  sessions.SetOnWritten(std::move(on_written));
  UniqueFd lock;
  if (pages->found == Found::kPages) {
    auto session = sessions.Admit(std::move(pages->arrival));
    if (!session) return std::move(session.error()).Wrap("process " + std::to_string(options.attach_pid));
    sessions.SnapshotAll("start", "");
  } else {
    if (!MayCome(options)) return Error{pages->why};
    auto door = OpenDoor(options, service->get());
    if (!door) return Error{pages->why + "; " + door.error().message};
    lock = std::move(*door);
    Notice(pages->why + "; waiting for it to hand over its pages at its next activity, which it does if it was started with libleakhunt.so");
  }
  bool stop = false;
  auto on_signal = [&](const signalfd_siginfo& info) {
    if (info.ssi_signo == SIGUSR1) sessions.SnapshotOnSignal(info);
    if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP) stop = true;
  };
  auto over = [&] {
    if (stop || (*service)->DurationOver()) return true;
    if (sessions.EverAdmitted() == 0) return kill(options.attach_pid, 0) != 0;
    return sessions.Count() == 0;
  };
  (*service)->Run(on_signal, over);
  bool injected = (pages->flags & protocol::kFlagInjected) != 0;
  if (injected && sessions.Count() != 0) {
    if (Status off = TakeOff(options.attach_pid); !off) Notice(off.error().message + "; it goes on recording in its own memory");
  }
  sessions.StopAll();
  if (lock.Valid()) unlink(ingest::ChooseAddress(options.socket).path.c_str());
  if (sessions.EverAdmitted() == 0) return Error{"process " + std::to_string(options.attach_pid) + " did not hand over its pages"};
  return 0;
}

}  // namespace leakhunt::attach
