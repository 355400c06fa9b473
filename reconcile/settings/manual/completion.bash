# bash completion for consular: asks the program itself. (urfave/cli's own script would evaluate
# what stands on the command line.)
_consular() {
  local cur words cword
  COMPREPLY=()
  if declare -F _init_completion > /dev/null; then
    _init_completion -n "=:" || return
  else
    cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
  fi
  words=("${words[@]:0:cword}")
  [[ $cur != -* ]] || words+=("$cur")
  mapfile -t COMPREPLY < <(compgen -W "$("${words[@]}" --generate-bash-completion 2> /dev/null)" -- "$cur")
}
complete -o bashdefault -o default -F _consular consular
