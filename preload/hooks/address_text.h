// A socket address as text, for labels: 10.0.0.1:443, [::1]:443, a path, @abstract.
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "preload/sys/text.h"

namespace leakhunt::hooks {

using AddressText = sys::Text<96>;

// Adds `address` (may be null) of `bytes` to `text`; adds nothing for families it does not know.
void AddAddress(const sockaddr* address, socklen_t bytes, AddressText* text);

}  // namespace leakhunt::hooks
