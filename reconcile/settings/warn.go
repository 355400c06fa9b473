package settings

import (
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
)

// heartbeats are Marathon's pause between them (10 s) twice: a shorter idle timeout
// takes a stream for dead because one was late.
const heartbeats = 20 * time.Second

// warn says what of the options does nothing, or hardly what was meant.
func warn(c *cli.Context, log zerolog.Logger) {
	if slices.ContainsFunc([]string{"scheme", "host", "port"}, c.IsSet) {
		log.Warn().Msg("--scheme, --host and --port do nothing: there is no port any more")
	}
	for _, o := range optionsOf(c) {
		if variable := o.source(); variable != "" && variable == o.formerEnv {
			log.Warn().Msgf("%s is an old name, in which any command may find its --%s: say %s", variable, o.Names()[0], o.env[0])
		}
	}
	listens := !slices.Contains([]string{"sync", "plan", "explain", "remove"}, c.Command.Name)
	if listens && c.Command.Name != "events" && c.String("lock-key") != "" && !c.Bool("ha") {
		log.Warn().Msg("--lock-key without --ha: this copy asks for no lock, and writes whatever others do")
	}
	if idle := Span(c, "idle-timeout"); listens && idle < heartbeats {
		log.Warn().Msgf("--idle-timeout %s is short: Marathon's heartbeats are 10s apart, and below %s a late one costs a reconnect and a resync", idle, heartbeats)
	}
}
