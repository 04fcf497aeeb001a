// What the bundled service does for a request. Two handlers are wrong on purpose, each in one place:
//
//   handle_report  keeps no pointer to the audit entry of a report that is filed as a draft: heap leak
//   handle_quote   returns without close() when the upstream says that it is busy: socket leak
//
// The others show what must not be mistaken for a leak: a table built at start, a bounded cache, churn.
#pragma once

#include <atomic>

#include "http.h"
#include "store.h"

namespace leaky {

struct Service {
  RateTable rates;
  PageCache pages{512};
  int upstream_port = 0;
  std::atomic<uint64_t> requests{0};
};

Response Dispatch(Service& service, const Request& request);

}  // namespace leaky
