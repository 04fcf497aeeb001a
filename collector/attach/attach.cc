#include "collector/attach/attach.h"

#include "collector/attach/guest_pages.h"
#include "collector/attach/injection.h"
#include "collector/ingest/service.h"
#include "collector/notice.h"

namespace leakhunt::attach {
namespace {

// The pages of a process that records, the library loaded into it where it was not there.
Result<GuestPages> PagesOfRecording(const Options& options) {
  auto pages = TakePages(options.attach_pid);
  if (!pages) return pages.error();
  if (*pages && ((*pages)->flags & protocol::kFlagDetached) == 0) return std::move(**pages);
  if (Status injected = Inject(options.attach_pid, options); !injected) return injected.error();
  pages = TakePages(options.attach_pid);
  if (!pages) return pages.error();
  if (!*pages) return Error{"process " + std::to_string(options.attach_pid) + " ended meanwhile"};
  return std::move(**pages);
}

}  // namespace

Result<int> RecordProcess(const Options& options, record::OnWritten on_written) {
  auto service = ingest::Service::Create(options, ingest::Mode::kAttach, ingest::ServiceSignals());
  if (!service) return service.error();
  auto pages = PagesOfRecording(options);
  if (!pages) return pages.error();
  ingest::SessionTable& sessions = (*service)->Sessions();
  sessions.SetOnWritten(std::move(on_written));
  auto session = sessions.Admit(std::move(pages->arrival));
  if (!session) return std::move(session.error()).Wrap("process " + std::to_string(options.attach_pid));
  sessions.SnapshotAll("start", "");
  bool stop = false;
  auto on_signal = [&](const signalfd_siginfo& info) {
    if (info.ssi_signo == SIGUSR1) sessions.SnapshotOnSignal(info);
    if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP) stop = true;
  };
  (*service)->Run(on_signal, [&] { return stop || (*service)->DurationOver() || sessions.Count() == 0; });
  bool injected = (pages->flags & protocol::kFlagInjected) != 0;
  if (injected && sessions.Count() != 0) {
    if (Status off = TakeOff(options.attach_pid); !off) Notice(off.error().message + "; it goes on recording in its own memory");
  }
  sessions.StopAll();
  return 0;
}

}  // namespace leakhunt::attach
