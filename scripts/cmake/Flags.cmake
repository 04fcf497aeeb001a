# Two interface targets: what guest code (inside someone else's process) and host code are compiled with.
set(LEAKHUNT_SANITIZE "" CACHE STRING "sanitizers for host code, e.g. address,undefined")

add_library(leakhunt_guest_flags INTERFACE)
target_include_directories(leakhunt_guest_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(leakhunt_guest_flags INTERFACE
  -Wall -Wextra -Wno-unused-parameter -fno-exceptions -fno-rtti -fno-stack-protector -U_FORTIFY_SOURCE
  -fno-threadsafe-statics -fasynchronous-unwind-tables -fvisibility=hidden
  -ftls-model=initial-exec -fno-plt -fno-math-errno -g)

add_library(leakhunt_host_flags INTERFACE)
target_include_directories(leakhunt_host_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(leakhunt_host_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -g)
target_compile_definitions(leakhunt_host_flags INTERFACE LEAKHUNT_VERSION="${PROJECT_VERSION}")
if(LEAKHUNT_SANITIZE)
  target_compile_options(leakhunt_host_flags INTERFACE -fsanitize=${LEAKHUNT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(leakhunt_host_flags INTERFACE -fsanitize=${LEAKHUNT_SANITIZE})
endif()
