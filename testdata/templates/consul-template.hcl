# How consul-template is to run for a proxy: -config consul-template.hcl, with -template of your own.

# One step of a deployment is one reload: it is over when 100 ms have passed without a change. And
# a task that takes another's place is registered on another agent: who looks between the two
# writes may see neither.
wait {
  min = "100ms"
  max = "500ms"
}

# It goes on as long as its agent is away, and looks again soon; the default is to give up after some minutes.
consul {
  retry {
    attempts    = 0
    max_backoff = "2s"
  }
}

# By default it ignores what systemd and people send.
kill_signal = "SIGTERM"
