// Consular keeps Consul true to Marathon: running tasks are services on the
// agent of their host, ended tasks are gone, labels are keys. README.md says
// how to use it, reconcile/doc.go how it works.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"consular/consul"
	"consular/consul/devconsul"
	"consular/marathon"
	"consular/marathon/simulator"
	"consular/marathon/transport"
	"consular/reconcile"
	"consular/stream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends us at once
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// exitCode is an outcome that has been told already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run is the whole program: it returns the exit code when ctx ends, or before.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := application(stdout, stderr)
	err := app.RunContext(ctx, args)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	default:
		fmt.Fprintln(stderr, "consular:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
}

func application(stdout, stderr io.Writer) *cli.App {
	silent := func(_ *cli.Context, err error, _ bool) error { return err }
	app := &cli.App{
		Name:            "consular",
		Usage:           "keeps Consul true to Marathon: tasks as services, labels as keys",
		UsageText:       "consular [global options] [command [command options]]",
		Description:     "Without a command, consular runs until it is told to stop.\nEvery option has an environment variable: CONSULAR_ and its name. Durations are 90s, 5m,\nor a bare number of seconds.",
		Version:         version(),
		HideHelpCommand: true,
		Flags:           flags(),
		Writer:          stdout, ErrWriter: stderr,
		OnUsageError:   silent,
		ExitErrHandler: func(*cli.Context, error) {},
		Action:         command(runCommand),
	}
	app.Commands = []*cli.Command{
		{Name: "run", Usage: "subscribe and reconcile, until told to stop (the default)", Action: command(runCommand)},
		{
			Name: "sync", Usage: "make Consul right once, print a summary, and end", Action: command(syncCommand),
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "force", Usage: "also remove what is held back"},
				&cli.BoolFlag{Name: "adopt", Usage: "take every key below the prefix that nobody owns as ours, and so remove stale ones"},
				&cli.StringFlag{Name: "adopt-from", Usage: "take over what this earlier registration `ID` owned"},
			},
		},
		{
			Name: "remove", Usage: "remove every service and key of this registration ID", Action: command(removeCommand),
			Flags: []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "really"}},
		},
		{
			Name: "plan", Usage: "print what sync would change, and write nothing (exit 0: in sync, 2: drift)", Action: command(planCommand),
			Flags: []cli.Flag{&cli.StringFlag{Name: "format", Value: "table", Usage: "`table` or json"}},
		},
		{
			Name: "events", Usage: "print Marathon's events as they come", Action: command(eventsCommand),
			Flags: []cli.Flag{&cli.StringFlag{Name: "format", Value: "text", Usage: "`text` or json"}},
		},
		{
			Name: "demo", Usage: "a simulated Marathon, a real Consul, and run between them", Action: command(demoCommand),
			Flags: []cli.Flag{
				&cli.GenericFlag{Name: "for", Value: new(duration), Usage: "end after this `time`; 0 is never"},
				&cli.StringFlag{Name: "consul-bin", Usage: "`path` of Consul; otherwise from PATH, or built in a checkout"},
			},
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError, c.HideHelpCommand = silent, true
	}
	return app
}

// program is what every command works with.
type program struct {
	*cli.Context
	settings
	log zerolog.Logger
}

// command reads the options before a command.
func command(do func(context.Context, program) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 0 {
			return fmt.Errorf("unknown command %q: see consular --help", c.Args().First())
		}
		log, closeLog, err := openLog(c)
		if err != nil {
			return err
		}
		defer closeLog()
		s, err := readSettings(c, noteRotation(log))
		if err != nil {
			return err
		}
		warnOfOldOptions(c, log)
		return do(c.Context, program{Context: c, settings: s, log: log})
	}
}

func runCommand(ctx context.Context, p program) error {
	p.log.Info().Str("version", version()).Str("marathon", p.shownMasters()).Str("consul", p.consul.Address.Redacted()).
		Str("registration_id", p.reconcile.Owner.RegistrationID).Msg("consular starts")
	r, err := p.reconciler(p.log)
	if err != nil {
		return err
	}
	p.stream.Log = p.log
	p.stream.EventTypes = marathon.EventTypes()
	subscriber, err := stream.New(p.stream, handler{r})
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return subscriber.Run(ctx) })
	all.Go(func() error { return r.Run(ctx) })
	err = all.Wait()
	p.log.Info().Msg("consular ends: services stay registered")
	return err
}

// handler passes the stream on: reconcile does not know package stream.
type handler struct{ *reconcile.Reconciler }

func (h handler) Connected(string)            { h.Reconciler.Connected() }
func (h handler) Missed(gap stream.Gap)       { h.Reconciler.Missed(string(gap.Cause)) }
func (h handler) Disconnected(gap stream.Gap) { h.Reconciler.Disconnected(string(gap.Cause)) }

func syncCommand(ctx context.Context, p program) error {
	p.reconcile.Force, p.reconcile.Adopt = p.Bool("force"), p.Bool("adopt")
	if former := p.String("adopt-from"); former != "" {
		if err := consul.CheckRegistrationID(former); err != nil {
			return fmt.Errorf("--adopt-from: %w", err)
		}
		p.reconcile.Former = &consul.Owner{RegistrationID: former}
	}
	return syncOnce(ctx, p)
}

func removeCommand(ctx context.Context, p program) error {
	if !p.Bool("force") {
		return fmt.Errorf("remove would remove all services and keys of registration ID %q: say remove --force", p.reconcile.Owner.RegistrationID)
	}
	p.reconcile.Force, p.noMarathon = true, true
	return syncOnce(ctx, p)
}

func syncOnce(ctx context.Context, p program) error {
	r, err := p.reconciler(p.log)
	if err != nil {
		return err
	}
	_, sum, err := r.Sync(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.App.Writer, sum.String())
	if !sum.Clean() {
		return exitCode(1)
	}
	return nil
}

func planCommand(ctx context.Context, p program) error {
	format := p.String("format")
	if format != "table" && format != "json" {
		return fmt.Errorf("--format %q: must be table or json", format)
	}
	r, err := p.reconciler(p.log)
	if err != nil {
		return err
	}
	plan, err := r.Plan(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		err = plan.WriteJSON(p.App.Writer)
	} else {
		err = plan.WriteTable(p.App.Writer, isTerminal(p.App.Writer))
	}
	switch {
	case err != nil:
		return err
	case len(plan.Unread) > 0 || len(plan.Unconfirmed) > 0:
		return exitCode(1)
	case !plan.InSync():
		return exitCode(2)
	}
	return nil
}

func eventsCommand(ctx context.Context, p program) error {
	format := p.String("format")
	if format != "text" && format != "json" {
		return fmt.Errorf("--format %q: must be text or json", format)
	}
	out := p.App.Writer
	if format == "text" {
		out = console(out)
	}
	p.stream.Log = p.log
	subscriber, err := stream.New(p.stream, stream.NewPrinter(out))
	if err != nil {
		return err
	}
	return subscriber.Run(ctx)
}

func demoCommand(ctx context.Context, p program) error {
	if d := *p.Generic("for").(*duration); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(d))
		defer cancel()
	}
	out := p.App.Writer
	binary, err := devconsul.Find(ctx, p.String("consul-bin"), p.App.ErrWriter)
	if err != nil {
		return err
	}
	cluster, err := devconsul.Start(ctx, devconsul.Config{Binary: binary, Clients: 2, Network: "127.0.0"})
	if err != nil && ctx.Err() == nil { // somebody has a Consul on the usual address
		fmt.Fprintf(out, "%v; taking other addresses\n", err)
		cluster, err = devconsul.Start(ctx, devconsul.Config{Binary: binary, Clients: 2})
	}
	if err != nil {
		return err
	}
	err = demo(ctx, p, cluster, out)
	return errors.Join(err, cluster.Stop())
}

// demo runs consular between a simulated Marathon and a Consul of three agents.
func demo(ctx context.Context, p program, cluster *devconsul.Cluster, out io.Writer) error {
	hosts := []string{cluster.Server().Host}
	for _, agent := range cluster.Clients() {
		hosts = append(hosts, agent.Host)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the simulated Marathon: %w", err)
	}
	m := simulator.New(simulator.Config{Hosts: hosts, TaskKilling: true, Pace: simulator.HumanPace()})
	master := "http://" + listener.Addr().String()
	if err := p.useDemo(master, cluster.Server().URL()); err != nil {
		return err
	}
	ui := cluster.Server().URL()
	fmt.Fprintf(out, demoText, ui, ui, ui, master, master)
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return m.Serve(ctx, listener) })
	all.Go(func() error {
		return simulator.Story{Tell: func(act string) { p.log.Info().Msg("marathon: " + act) }}.Run(ctx, m)
	})
	all.Go(func() error { return runCommand(ctx, p) })
	return all.Wait()
}

const demoText = `Consul's UI:  %s/ui
Try:  curl -s '%s/v1/catalog/services'
      curl -s '%s/v1/kv/consular/?recurse&keys'
      curl -s '%s/v2/apps?embed=apps.tasks'
Another terminal can watch Marathon:  go run . --marathon %s events
Ctrl-C ends it all.

`

// version says version, commit and Go version.
func version() string {
	v, commit := "development", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	return fmt.Sprintf("%s (commit %s, %s)", v, commit, runtime.Version())
}

// settings are all options, as each package wants them.
type settings struct {
	marathon  marathon.Config
	stream    stream.Config
	consul    consul.Config
	reconcile reconcile.Config
	// noMarathon is set for remove: nothing is desired.
	noMarathon bool
}

func flags() []cli.Flag {
	text := func(name, value, usage string, env ...string) cli.Flag {
		return &cli.StringFlag{Name: name, Value: value, Usage: usage, EnvVars: append([]string{envName(name)}, env...)}
	}
	span := func(name string, value time.Duration, usage string) cli.Flag {
		d := duration(value)
		return &cli.GenericFlag{Name: name, Value: &d, Usage: usage, EnvVars: []string{envName(name)}}
	}
	yes := func(name string, value bool, usage string) cli.Flag {
		return &cli.BoolFlag{Name: name, Value: value, Usage: usage, EnvVars: []string{envName(name)}, Hidden: usage == ""}
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
		text("marathon", "http://localhost:8080", "`URL[,URL…]` of Marathon's masters; the next is tried when one fails"),
		text("consul", "http://localhost:8500", "`URL` of the main agent; scheme and port serve for all agents", "CONSUL_HTTP_ADDR"),
		text("registration-id", "consular", "`name` that owns services and keys; one for each Marathon"),
		span("sync-interval", 5*time.Minute, "`time` between resyncs of a healthy stream; 0 turns them off"),
		span("poll-interval", 15*time.Second, "`time` between resyncs while the stream is down"),
		span("idle-timeout", 45*time.Second, "a stream without a byte for this `time` is dead"),
		yes("purge", true, "remove what Marathon no longer has"),
		yes("no-purge", false, "remove only what an event has announced"),
		text("purge-limit", "50%", "hold removals back that would take more than this `share` of our services or keys"),
		span("purge-confirm", 5*time.Minute, "remove what every look for this `time` would remove"),
		yes("fallback", false, "register on the main agent while there is no way to a task's own"),
		yes("no-fallback", false, ""),
		span("fallback-timeout", 2*time.Second, "there is no way to an agent that does not connect in this `time`"),
		span("timeout", 5*time.Second, "`time` for connecting, and for any silence within an answer"),
		text("max-event", "8MiB", "a larger event is not read: its `size` costs a resync"),
		text("max-answer", "256MiB", "a larger answer is an error; a `size`"),
		text("kv-prefix", "consular", "`prefix` of all keys"),
		text("kv-format", "raw", "how labels are stored: `raw` or json"),
		text("log-level", "info", "`level`: debug, info, warn or error"),
		text("log-format", "auto", "`auto` (console on a terminal, else JSON), console or json"),
		text("logfile", "", "`file` to log to, instead of stderr"),
		yes("debug", false, "--log-level debug"),
		yes("no-debug", false, ""),
		&cli.StringFlag{Name: "scheme", Hidden: true},
		&cli.StringFlag{Name: "host", Hidden: true},
		&cli.StringFlag{Name: "port", Hidden: true},
		text("marathon-user", "", "`name` for HTTP Basic; password from a file or CONSULAR_MARATHON_PASSWORD"),
		text("marathon-password-file", "", "`file` of the user's password"),
		text("marathon-token-file", "", "`file` of a token, sent instead of user and password"),
		text("marathon-token-type", "dcos", "`type` of the token: dcos (token=…) or bearer"),
		text("consul-token-file", "", "`file` of the ACL token", "CONSUL_HTTP_TOKEN_FILE"),
	}
	return slices.Concat(main, tls("marathon", [4][]string{}), tls("consul", [4][]string{
		{"CONSUL_CACERT"}, {"CONSUL_CLIENT_CERT"}, {"CONSUL_CLIENT_KEY"}, {"CONSUL_TLS_SERVER_NAME"},
	}))
}

func envName(option string) string {
	return "CONSULAR_" + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// duration is "90s", "5m", or a bare number of seconds, as the Python consular
// took.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

// Set reads s.
func (d *duration) Set(s string) error {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		s = strconv.FormatFloat(seconds, 'f', -1, 64) + "s"
	}
	parsed, err := time.ParseDuration(s)
	if err != nil || parsed < 0 {
		return errors.New("must be like 90s, 5m, or a number of seconds")
	}
	*d = duration(parsed)
	return nil
}

// readSettings reads all options and lets each package check its own.
func readSettings(c *cli.Context, notice transport.Notice) (settings, error) {
	span := func(name string) time.Duration { return time.Duration(*c.Generic(name).(*duration)) }
	var s settings
	maxEvent, errEvent := size(c, "max-event")
	maxAnswer, errAnswer := size(c, "max-answer")
	limit, errLimit := strconv.Atoi(strings.TrimSuffix(c.String("purge-limit"), "%"))
	if errLimit != nil {
		errLimit = fmt.Errorf("--purge-limit %q: must be a percentage, such as 50%%", c.String("purge-limit"))
	}
	if err := errors.Join(errEvent, errAnswer, errLimit); err != nil {
		return s, err
	}
	timeout := span("timeout")
	s.marathon = marathon.Config{Timeout: timeout, MaxAnswer: maxAnswer}
	s.stream = stream.Config{IdleTimeout: span("idle-timeout"), Timeout: timeout, MaxEvent: int(maxEvent)}
	s.consul = consul.Config{Timeout: timeout, MaxAnswer: maxAnswer, Prefix: c.String("kv-prefix"), Format: consul.Format(c.String("kv-format"))}
	s.reconcile = reconcile.Config{
		Translation: reconcile.Translation{
			Owner: consul.Owner{RegistrationID: c.String("registration-id")}, Prefix: s.consul.Prefix,
			Fallback: c.Bool("fallback") && !c.Bool("no-fallback"),
		},
		Policy:       reconcile.Policy{Purge: c.Bool("purge") && !c.Bool("no-purge"), Limit: limit, Confirm: span("purge-confirm")},
		SyncInterval: span("sync-interval"), PollInterval: span("poll-interval"), Patience: timeout,
	}
	waits := transport.Config{Connect: timeout, Head: 3 * timeout, Silence: timeout, MaxConnsPerHost: 16, Notice: notice}
	if err := firstError(waits.Check(), s.reachMarathon(c, waits), s.reachConsul(c, waits)); err != nil {
		return s, err
	}
	return s, firstError(s.marathon.Check(), s.stream.Check(), s.consul.Check(), s.reconcile.Check())
}

// reachMarathon reads where Marathon is and what it wants to see. Its stream has
// connections of its own, on which silence is watched by package stream.
func (s *settings) reachMarathon(c *cli.Context, waits transport.Config) error {
	masters, err := marathon.ParseURLs(c.String("marathon"))
	if err != nil {
		return fmt.Errorf("--marathon: %w", err)
	}
	password, errPassword := transport.NewSecret(c.String("marathon-password-file"), os.Getenv("CONSULAR_MARATHON_PASSWORD"), waits.Notice)
	token, errToken := transport.NewSecret(c.String("marathon-token-file"), "", waits.Notice)
	credentials := marathon.Credentials{
		User: c.String("marathon-user"), Password: password,
		Token: token, Type: marathon.TokenType(c.String("marathon-token-type")),
	}
	waits.TLS = tlsFiles(c, "marathon")
	rest, errTLS := transport.New(waits)
	if err := firstError(errPassword, errToken, errTLS); err != nil {
		return fmt.Errorf("--marathon: %w", err)
	}
	if err := credentials.Check(masters); err != nil {
		return err
	}
	waits.Silence, waits.MaxConnsPerHost = 0, 0
	streams, err := transport.New(waits)
	if err != nil {
		return fmt.Errorf("--marathon: %w", err)
	}
	s.marathon.URLs, s.marathon.Transport = masters, credentials.Authorize(rest)
	s.stream.URLs, s.stream.Transport = masters, credentials.Authorize(streams)
	return nil
}

// reachConsul reads where Consul is and what it wants to see.
func (s *settings) reachConsul(c *cli.Context, waits transport.Config) error {
	env, err := consul.ReadEnvironment(os.Getenv)
	if err != nil {
		return err
	}
	address := c.String("consul")
	if !c.IsSet("consul") {
		address = "localhost:8500" // as CONSUL_HTTP_SSL says
	}
	agent, errAddress := env.ParseAddress(address)
	token, errToken := transport.NewSecret(c.String("consul-token-file"), env.Token, waits.Notice)
	waits.TLS = tlsFiles(c, "consul")
	if !c.IsSet("consul-insecure") {
		waits.TLS.Insecure = env.Insecure
	}
	if s.reconcile.Fallback {
		waits.Connect = time.Duration(*c.Generic("fallback-timeout").(*duration))
	}
	requests, errTLS := transport.New(waits)
	if err := firstError(errAddress, errToken, errTLS); err != nil {
		return fmt.Errorf("--consul: %w", err)
	}
	s.consul.Address, s.consul.Transport, s.consul.Token = agent, requests, token.Text
	return nil
}

func tlsFiles(c *cli.Context, side string) transport.TLS {
	return transport.TLS{
		CAFile: c.String(side + "-ca-file"), CertFile: c.String(side + "-cert-file"), KeyFile: c.String(side + "-key-file"),
		ServerName: c.String(side + "-tls-server-name"), Insecure: c.Bool(side + "-insecure"),
	}
}

// noteRotation logs that a secret or a certificate was read anew.
func noteRotation(log zerolog.Logger) transport.Notice {
	return func(file string, err error) {
		if err != nil {
			log.Error().Err(err).Str("file", file).Msg("changed and cannot be used: what was read before still is")
			return
		}
		log.Info().Str("file", file).Msg("read again: it has changed")
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func size(c *cli.Context, option string) (int64, error) {
	n, err := humanize.ParseBytes(c.String(option))
	if err != nil || n == 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("--%s %q: must be a size such as 8MiB", option, c.String(option))
	}
	return int64(n), nil
}

// reconciler wires both sides together.
func (s settings) reconciler(log zerolog.Logger) (*reconcile.Reconciler, error) {
	var source reconcile.Marathon = reconcile.NoMarathon{}
	if !s.noMarathon {
		client, err := marathon.NewClient(s.marathon)
		if err != nil {
			return nil, err
		}
		source = client
	}
	cluster, err := consul.NewCluster(s.consul)
	if err != nil {
		return nil, err
	}
	s.reconcile.Encode = cluster.Labels().Encode
	s.reconcile.Log = log
	agent := func(host string) (reconcile.Agent, error) {
		if host == "" {
			return cluster.Main(), nil
		}
		return cluster.Agent(host)
	}
	return reconcile.New(s.reconcile, source, reconcile.Consul{
		Agent: agent, Labels: cluster.Labels(), Catalog: cluster.Catalog(),
	}), nil
}

// shownMasters are the masters without their credentials.
func (s settings) shownMasters() string {
	var shown []string
	for _, u := range s.marathon.URLs {
		shown = append(shown, u.Redacted())
	}
	return strings.Join(shown, ",")
}

// useDemo points everything at the demo's own Marathon and Consul.
func (s *settings) useDemo(master string, agent *url.URL) error {
	masters, err := marathon.ParseURLs(master)
	s.marathon.URLs, s.stream.URLs, s.consul.Address = masters, masters, agent
	return err
}

// openLog returns the log and what closes it.
func openLog(c *cli.Context) (log zerolog.Logger, closeLog func(), err error) {
	level, err := zerolog.ParseLevel(c.String("log-level"))
	if err != nil || c.String("log-level") == "" {
		return log, nil, fmt.Errorf("--log-level %q: must be debug, info, warn or error", c.String("log-level"))
	}
	if c.Bool("debug") && !c.Bool("no-debug") {
		level = zerolog.DebugLevel
	}
	out, closeLog := c.App.ErrWriter, func() {}
	if name := c.String("logfile"); name != "" {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return log, nil, fmt.Errorf("--logfile: %w", err)
		}
		out, closeLog = file, func() { file.Close() }
	}
	switch format := c.String("log-format"); {
	case format == "console", format == "auto" && isTerminal(out):
		out = console(out)
	case format != "auto" && format != "json":
		return log, nil, fmt.Errorf("--log-format %q: must be auto, console or json", format)
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	return zerolog.New(out).Level(level).With().Timestamp().Logger(), closeLog, nil
}

// console writes log lines for people.
func console(out io.Writer) io.Writer {
	return zerolog.ConsoleWriter{Out: out, TimeFormat: "15:04:05.000", NoColor: !isTerminal(out)}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// warnOfOldOptions says what of the Python consular's options does nothing.
func warnOfOldOptions(c *cli.Context, log zerolog.Logger) {
	for _, option := range []string{"scheme", "host", "port"} {
		if c.IsSet(option) {
			log.Warn().Msg("--scheme, --host and --port do nothing: there is no port any more")
			return
		}
	}
}
