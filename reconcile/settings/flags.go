// Package settings is what a user can say to consular: the options, their
// environment variables, and what each package is configured with because of
// them. Each package checks its own Config.
//
//	flags.go     the options; shaping.go, watched.go, copies.go: some of them, and what they say
//	settings.go  all of them read; wire.go: what is made of that
//	option.go    an option that may also be said in the environment
//	program.go   what a command is given; log.go, logfile.go: its log
//	usage.go     what is wrong with a command line; warn.go: what does nothing, or hardly what was meant
package settings

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"
)

// Flags returns all global options.
func Flags() []cli.Flag {
	text := func(name, value, usage string, env ...string) cli.Flag {
		env = append([]string{envName(name)}, env...)
		return &option{Flag: &cli.StringFlag{Name: name, Value: value, Usage: usage}, env: env}
	}
	span := func(name string, value time.Duration, usage string) cli.Flag {
		return &option{Flag: &cli.GenericFlag{Name: name, Value: NewDuration(value), Usage: usage}, env: []string{envName(name)}}
	}
	yes := func(name string, value bool, usage string, overruledBy ...string) cli.Flag {
		f := &cli.BoolFlag{Name: name, Value: value, Usage: usage, Hidden: usage == ""}
		return &option{Flag: f, env: []string{envName(name)}, overruledBy: overruledBy}
	}
	tls := func(side string, env [4][]string) []cli.Flag {
		return []cli.Flag{
			text(side+"-ca-file", "", "`file` of the authorities to trust instead of the system's", env[0]...),
			text(side+"-cert-file", "", "`file` of our certificate, for servers that ask for one", env[1]...),
			text(side+"-key-file", "", "`file` of its key", env[2]...),
			text(side+"-tls-server-name", "", "`name` that servers' certificates must be valid for, instead of the host", env[3]...),
			yes(side+"-insecure", false, "take any certificate of any server"),
		}
	}
	main := []cli.Flag{
		several("marathon", "http://localhost:8080", "`URL[,URL…]` of Marathon's masters; the next is tried when one fails"),
		text("consul", "http://localhost:8500", "`URL` of the main agent; scheme and port serve for all agents", "CONSUL_HTTP_ADDR"),
		text("registration-id", "consular", "`name` that owns services and keys; one for each Marathon"),
		span("sync-interval", 5*time.Minute, "`time` between resyncs of a healthy stream; 0 is one a day"),
		span("poll-interval", 15*time.Second, "`time` between resyncs while the stream is down, or something is held back"),
		span("idle-timeout", 45*time.Second, "a stream without a byte, or a first event, for this `time` is dead"),
		yes("purge", true, "remove what Marathon no longer has", "no-purge"),
		yes("no-purge", false, "remove only what an event has announced", "purge"),
		text("purge-limit", "50%", "hold removals back that would take more than this `share` of our services or keys"),
		span("purge-confirm", 5*time.Minute, "remove what every resync for this `time` would remove"),
		text("health", "mirror", "`how` the health of tasks comes to Consul: mirror (Marathon's verdict), checks (made by agents) or none"),
		yes("fallback", false, "register on the main agent while there is no way to a task's own", "no-fallback"),
		yes("no-fallback", false, "", "fallback"),
		span("fallback-timeout", 2*time.Second, "there is no way to an agent that does not connect in this `time`"),
		span("timeout", 5*time.Second, "`time` for connecting, and for any silence within an answer"),
		text("max-event", "8MiB", "an event larger than this `size` is not read, and costs a resync"),
		text("max-answer", "256MiB", "an answer larger than this `size` is an error"),
		text("kv-prefix", "consular", "`prefix` of all keys"),
		text("kv-format", "raw", "how labels are stored: `raw` or json"),
		yes("ha", false, "be one of several copies, of which the one that holds a lock in Consul writes"),
		text("lock-key", "", "`key` of that lock; default: consular-lock/ and the registration ID"),
		text("log-level", "info", "`level`: debug, info, warn or error"),
		text("log-format", "auto", "`auto` (console on a terminal, else JSON), console or json"),
		text("logfile", "", "`file` to log to, instead of stderr (which is also -); SIGHUP opens it anew"),
		yes("debug", false, "--log-level debug", "no-debug", "log-level"),
		yes("no-debug", false, "", "debug", "log-level"),
		&cli.StringFlag{Name: "scheme", Hidden: true},
		&cli.StringFlag{Name: "host", Hidden: true},
		&cli.StringFlag{Name: "port", Hidden: true},
		text("marathon-user", "", "`name` for HTTP Basic; password from a file or CONSULAR_MARATHON_PASSWORD"),
		text("marathon-password-file", "", "`file` of the user's password"),
		text("marathon-token-file", "", "`file` of a token, not together with a user or password"),
		text("marathon-token-type", "dcos", "`type` of the token: dcos (token=…) or bearer"),
		text("consul-token-file", "", "`file` of the ACL token", "CONSUL_HTTP_TOKEN_FILE"),
	}
	return slices.Concat(main, shapingFlags(text, yes), watchedFlags(text), tls("marathon", [4][]string{}), tls("consul", [4][]string{
		{"CONSUL_CACERT"}, {"CONSUL_CLIENT_CERT"}, {"CONSUL_CLIENT_KEY"}, {"CONSUL_TLS_SERVER_NAME"},
	}))
}

// watchedFlags are the options of Watched.
func watchedFlags(text func(name, value, usage string, env ...string) cli.Flag) []cli.Flag {
	return []cli.Flag{
		text("heartbeat-file", "", "`file` whose time is set while consular is well: see the command health"),
		text("metrics-file", "", "`FILE.prom` of figures, for node_exporter's textfile collector"),
		text("statsd", "", "`HOST:PORT` of a statsd to send figures to; default: STATSD_UDP_HOST and STATSD_UDP_PORT"),
		text("statsd-format", "statsd", "`format`: statsd, or dogstatsd, which has tags"),
	}
}

// several is an option that may be said more than once.
func several(name, value, usage string) cli.Flag {
	return &option{Flag: &cli.GenericFlag{Name: name, Value: &list{text: value}, Usage: usage}, env: []string{envName(name)}}
}

// list is a text with commas. What is said more than once counts together.
type list struct {
	text string
	said bool
}

// String implements cli.Generic.
func (l *list) String() string { return l.text }

// Set implements cli.Generic.
func (l *list) Set(s string) error {
	if l.said {
		s = l.text + "," + s
	}
	l.text, l.said = s, true
	return nil
}

// maxDuration leaves room for the multiples of a duration that are made of it.
const maxDuration = 10 * 365 * 24 * time.Hour

// Duration is "90s", "5m", or a bare number of seconds, as the Python consular
// took.
type Duration time.Duration

// NewDuration returns the default of an option.
func NewDuration(d time.Duration) *Duration { return (*Duration)(&d) }

func (d *Duration) String() string { return time.Duration(*d).String() }

// Span returns the value of an option that is a duration.
func Span(c *cli.Context, option string) time.Duration {
	if d, ok := c.Generic(option).(*Duration); ok {
		return time.Duration(*d)
	}
	return 0
}

// Set reads s.
func (d *Duration) Set(s string) error {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		s = strconv.FormatFloat(seconds, 'f', -1, 64) + "s"
	}
	parsed, err := time.ParseDuration(s)
	if err != nil || parsed < 0 {
		return errors.New("must be like 90s, 5m, or a number of seconds")
	}
	if parsed > maxDuration {
		return errors.New("must be at most ten years, 87600h")
	}
	*d = Duration(parsed)
	return nil
}
