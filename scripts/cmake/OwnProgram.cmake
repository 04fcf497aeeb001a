# leakhunt_own_program(TARGET): marks a program of leakhunt's own for libleakhunt.so, which may be preloaded into every process
# of a host (/etc/ld.so.preload) and does nothing in those. The mark is an exported symbol; preload/core/process_identity.cc
# looks for it.
function(leakhunt_own_program target)
  target_link_options(${target} PRIVATE -Wl,--defsym=leakhunt_own_program=main
                      -Wl,--export-dynamic-symbol=leakhunt_own_program)
endfunction()
