#compdef consular
# zsh completion for consular: asks the program itself, which tells more where $0 is zsh's.
_consular() {
  local -a asked told
  asked=("${(@)words[1,CURRENT-1]}")
  [[ $words[CURRENT] != -* ]] || asked+=("$words[CURRENT]")
  told=("${(@f)$(env 0=zsh "${asked[@]}" --generate-bash-completion 2> /dev/null)}")
  if [[ -n $told[1] ]]; then
    _describe consular told
  else
    _files
  fi
}
if [[ $funcstack[1] == _consular ]]; then
  _consular "$@"
else
  compdef _consular consular
fi
