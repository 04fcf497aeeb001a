# bash completion for leakhunt-collect and leakhunt-report. Options and commands are asked from the programs' --help, so
# that this file never lags behind them.

_leakhunt_words_of_help() {
  "$@" --help 2>/dev/null | grep -oE -- '(^|[ ,])--[a-z][a-z-]+' | tr -d ' ,' | sort -u
}

_leakhunt_report_commands() {
  "$1" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'
}

_leakhunt_choices_of() {
  case $1 in
    --format) echo text json markdown csv pprof collapsed speedscope firefox heaptrack otlp sqlite ;;
    --sort) echo live-bytes live-count total-bytes growth age ;;
    --by) echo site function file module thread type scope peer pattern ;;
    --snapshot) echo first last end peak ;;
    --symbols) echo auto off ;;
    --children) echo follow ignore ;;
    --wait) echo all command ;;
    --track) echo heap mmap handles threads ;;
    --interval | --duration) echo 500ms 1s 30s 60s 30m ;;
    --pid) ps -eo pid= 2>/dev/null ;;
    --fail-on) echo leaking onset growing-unproven ;;
    --limit | --filter | --budget | --sample-bytes | --snapshot-at-rss | --max-disk | --max-disk-total | --min-age | --http | --http-host | --value) echo ;;
    *) return 1 ;;
  esac
}

_leakhunt_complete_collect() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} i choices
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if [ "${COMP_WORDS[i]}" = -- ]; then
      declare -F _command_offset >/dev/null && _command_offset $((i + 1)) || COMPREPLY=($(compgen -c -f -- "$word"))
      return
    fi
  done
  if choices=$(_leakhunt_choices_of "$previous"); then
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "-- $(_leakhunt_words_of_help "$1")" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}

_leakhunt_complete_report() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} choices
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "$(_leakhunt_report_commands "$1") --help --version" -- "$word"))
  elif choices=$(_leakhunt_choices_of "$previous"); then
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$(_leakhunt_words_of_help "$1" "${COMP_WORDS[1]}")" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}

complete -o filenames -F _leakhunt_complete_collect leakhunt-collect
complete -o filenames -F _leakhunt_complete_report leakhunt-report
