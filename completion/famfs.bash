# Completion of weft's commands in bash. What there is to complete, the program itself says.

_famfs() {
  local words=("${COMP_WORDS[@]:0:COMP_CWORD}") current=${COMP_WORDS[COMP_CWORD]} table command=${1##*/}
  local name options argument about expected= candidates=() IFS=$' \t\n'
  table=$(weft --completions 2>/dev/null) || return 0
  # bash takes --cache=n apart into three words.
  if [ "$current" = = ]; then current=; elif [ "${words[-1]}" = = ]; then unset 'words[-1]'; fi
  COMPREPLY=()

  words=("${words[@]:1}")
  if [ "$command" = weft ]; then
    if [ ${#words[@]} = 0 ]; then
      mapfile -t COMPREPLY < <(compgen -W "$(cut -f 1 <<< "$table" | cut -d ' ' -f 1 | sort -u)" -- "$current")
      return 0
    fi
    command=${words[0]}
    words=("${words[@]:1}")
  fi
  if [ "$command" = famfs ]; then
    if [ ${#words[@]} = 0 ]; then
      mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^famfs \([^\t]*\)\t-\t.*/\1/p' <<< "$table")" -- "$current")
      return 0
    fi
    command="famfs ${words[0]}"
    words=("${words[@]:1}")
  fi

  case " ${words[*]} " in *" -- "*) return 0 ;; esac  # bash itself completes files
  while IFS=$'\t' read -r name options argument about; do
    [ "$name" = "$command" ] && [ "$options" != - ] || continue
    candidates+=("${options##* }")
    if [ "$argument" != - ] && [ ${#words[@]} -gt 0 ]; then
      case " $options " in *" ${words[-1]} "*) expected=$argument ;; esac
    fi
  done <<< "$table"
  if [ -n "$expected" ]; then
    case $expected in *"|"*) mapfile -t COMPREPLY < <(compgen -W "${expected//|/ }" -- "$current") ;; esac
  elif [ "${current:0:1}" = - ]; then
    mapfile -t COMPREPLY < <(compgen -W "${candidates[*]}" -- "$current")
  fi
}

# What it leaves empty, bash completes as files.
complete -o default -o bashdefault -F _famfs weft famfs mkfs.famfs famfs_fused mount.famfs kfs mkfs.kfs pcq
