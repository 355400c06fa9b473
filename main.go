// Consular keeps Consul true to Marathon: running tasks are services on the
// agent of their host, ended tasks are gone, labels are keys. README.md says
// how to use it, reconcile/doc.go how it works.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"consular/consul"
	"consular/marathon/transport"
	"consular/reconcile/daemon"
	"consular/reconcile/demo"
	"consular/reconcile/heartbeat"
	"consular/reconcile/settings"
	"consular/reconcile/settings/manual"
	"consular/stream"
)

// gcPercent collects garbage earlier than Go's 100. A resync reads everything and
// keeps little of it: with 10,000 tasks and 50,000 labels this takes 20 % off the
// largest resident set, for 0.1 s of CPU in each resync.
const gcPercent = 50

// threads is how many of Go's run at once, not one for each core. consular waits for
// others nearly all the time, and for one event Go wakes threads that find nothing to
// do: with one, an idle consular takes a fifth less CPU, and the host's agent has the
// other cores. A cold start is no slower.
const threads = 1

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(threads)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // never ends us: see package settings, withLog
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends us at once
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// exitCode is an outcome that has been told already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run is the whole program: it returns the exit code when ctx ends, or before.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// net/http prints what a server sends unasked, as it is: it may be our credentials.
	log.SetOutput(io.Discard)
	app := application(stdout, stderr)
	err := app.RunContext(ctx, args)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "consular: ended by a signal before it was done")
		return 1
	default:
		fmt.Fprintln(stderr, "consular:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
}

func application(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:            "consular",
		Usage:           "keeps Consul true to Marathon: tasks as services, labels as keys",
		UsageText:       "consular [global options] [command [command options]]",
		Description:     "Without a command, consular runs until it is told to stop.\nEvery option has an environment variable: CONSULAR_ and its name. Durations are 90s, 5m,\nor a bare number of seconds.",
		Version:         version(),
		HideHelpCommand: true,
		Flags:           settings.Flags(),
		Writer:          stdout, ErrWriter: stderr,
		OnUsageError:   settings.UsageError,
		ExitErrHandler: func(*cli.Context, error) {},
		Action:         settings.Command(runCommand),
	}
	app.Commands = commands()
	manual.AddTo(app)
	for _, c := range app.Commands {
		c.OnUsageError, c.HideHelpCommand = settings.UsageError, true
	}
	return app
}

func commands() []*cli.Command {
	return []*cli.Command{
		{Name: "run", Usage: "subscribe and reconcile, until told to stop (the default)", Action: settings.Command(runCommand)},
		{
			Name: "sync", Usage: "make Consul right once, print a summary, and end", Action: settings.Command(syncCommand),
			Flags: settings.CommandFlags(
				"sync",
				&cli.BoolFlag{Name: "force", Usage: "also remove what is held back"},
				&cli.BoolFlag{Name: "adopt", Usage: "take every key below the prefix that nobody owns as ours, and so remove stale ones"},
				&cli.StringFlag{Name: "adopt-from", Usage: "take over what this earlier registration `ID` owned"},
			),
		},
		{
			Name: "remove", Usage: "remove every service and key of this registration ID", Action: settings.Command(removeCommand),
			Flags: settings.CommandFlags("remove", &cli.BoolFlag{Name: "force", Usage: "really; without it, what would be removed is printed (exit 0: nothing, 2: something)"}),
		},
		{
			Name: "plan", Usage: "print what sync would change, and write nothing (exit 0: in sync, 2: drift)", Action: settings.Command(planCommand),
			Flags: settings.CommandFlags("plan", &cli.StringFlag{Name: "format", Value: "table", Usage: "`table` or json"}),
		},
		{
			Name: "explain", Usage: "say of an app, a task or a service why it is in Consul, or is not (exit codes as plan's)",
			ArgsUsage: "APP|TASK|SERVICE", Action: settings.About(explainCommand),
			Flags: settings.CommandFlags("explain", &cli.StringFlag{Name: "format", Value: "text", Usage: "`text` or json"}),
		},
		{
			Name: "events", Usage: "print Marathon's events as they come", Action: settings.Command(eventsCommand),
			Flags: settings.CommandFlags("events", &cli.StringFlag{Name: "format", Value: "text", Usage: "`text` or json"}),
		},
		{
			Name: "health", Usage: "say whether the consular that sets a heartbeat is well (exit 0 or 1)", Action: healthCommand,
			Flags: settings.CommandFlags(
				"health",
				&cli.StringFlag{Name: "heartbeat-file", Usage: "`file` of the heartbeat"},
				&cli.GenericFlag{Name: "max-age", Value: settings.NewDuration(30 * time.Second), Usage: "a heartbeat older than this `time` is none"},
				&cli.BoolFlag{Name: "strict", Usage: "also be unwell while Marathon or Consul is away"},
			),
		},
		{
			Name: "demo", Usage: "a simulated Marathon, a real Consul, and run between them", Action: settings.Command(demoCommand),
			Flags: settings.CommandFlags(
				"demo",
				&cli.GenericFlag{Name: "for", Value: new(settings.Duration), Usage: "end after this `time`; 0 is never"},
				&cli.StringFlag{Name: "consul-bin", Usage: "`path` of Consul; otherwise from PATH, or built in a checkout"},
			),
		},
	}
}

func runCommand(ctx context.Context, p settings.Program) error {
	d, err := daemon.New(p.Settings, p.Log)
	if err != nil {
		return err
	}
	p.Log.Info().Str("version", version()).Str("marathon", p.ShownMasters()).Str("consul", p.ShownConsul()).
		Str("registration_id", p.Reconcile.Translation.Owner.RegistrationID).Msg("consular starts")
	err = d.Run(ctx)
	p.Log.Info().Msg("consular ends: services stay registered")
	return err
}

func syncCommand(ctx context.Context, p settings.Program) error {
	p.Reconcile.Policy.Force, p.Reconcile.Translation.Adopt = p.Bool("force"), p.Bool("adopt")
	p.Reconcile.Translation.AnyFramework = p.Reconcile.Policy.Force
	if former := p.String("adopt-from"); former != "" {
		if err := consul.CheckRegistrationID(former); err != nil {
			return fmt.Errorf("--adopt-from: %w", err)
		}
		p.Reconcile.Translation.Former = &consul.Owner{RegistrationID: former}
	}
	return syncOnce(ctx, p)
}

func removeCommand(ctx context.Context, p settings.Program) error {
	p.Reconcile.Policy.Force = true
	if p.Bool("force") {
		return syncOnce(ctx, p)
	}
	err := printPlan(ctx, p, "table")
	if code, is := errors.AsType[exitCode](err); is && code == 2 {
		fmt.Fprintf(p.App.Writer, "remove --force removes all that registration ID %q owns\n", p.Reconcile.Translation.Owner.RegistrationID)
	}
	return err
}

func syncOnce(ctx context.Context, p settings.Program) error {
	r, err := p.Reconciler(p.Log)
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

func planCommand(ctx context.Context, p settings.Program) error {
	format, err := p.Format("table")
	if err != nil {
		return err
	}
	return printPlan(ctx, p, format)
}

// printPlan prints what would be changed. The exit code tells whether there is anything.
func printPlan(ctx context.Context, p settings.Program, format string) error {
	r, err := p.Reconciler(p.Log)
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
		err = plan.WriteTable(p.App.Writer, settings.Coloured(p.App.Writer))
	}
	if err != nil {
		return err
	}
	return verdict(len(plan.Unread)+len(plan.Unconfirmed) == 0, plan.InSync())
}

// explainCommand tells of each app that has the name. The exit code is that of the worst.
func explainCommand(ctx context.Context, p settings.Program) error {
	format, err := p.Format("text")
	if err != nil {
		return err
	}
	r, err := p.Reconciler(p.Log)
	if err != nil {
		return err
	}
	told, err := r.Explain(ctx, p.Args().First())
	if err != nil {
		return err
	}
	inSync, complete := true, true
	for _, x := range told {
		inSync, complete = inSync && x.InSync(), complete && x.Complete()
		if format == "json" {
			err = x.WriteJSON(p.App.Writer)
		} else {
			err = x.WriteText(p.App.Writer, settings.Coloured(p.App.Writer))
		}
		if err != nil {
			return err
		}
	}
	return verdict(complete, inSync)
}

// verdict is how plan and explain end: something could not be read or confirmed, or differs.
func verdict(complete, inSync bool) error {
	switch {
	case !complete:
		return exitCode(1)
	case !inSync:
		return exitCode(2)
	}
	return nil
}

func eventsCommand(ctx context.Context, p settings.Program) error {
	format, err := p.Format("text")
	if err != nil {
		return err
	}
	out := p.App.Writer
	if format == "text" {
		out = settings.Uncut(out)
	}
	p.Stream.Log = p.Log
	subscriber, err := stream.New(p.Stream, stream.NewPrinter(out))
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return subscriber.Run(ctx) })
	all.Go(func() error {
		transport.WatchFiles(ctx, p.Files, subscriber.TryAgain)
		return nil
	})
	return all.Wait()
}

// healthCommand needs no more than a file: it says nothing of Marathon, Consul and secrets.
func healthCommand(c *cli.Context) error {
	file := ""
	for _, c := range c.Lineage() { // it may stand before the command, too
		file = cmp.Or(file, c.String("heartbeat-file"))
	}
	maxAge := settings.Span(c, "max-age")
	switch {
	case c.NArg() > 0:
		return settings.UnexpectedArgument(c)
	case file == "":
		return errors.New("health: --heartbeat-file is missing: the one that run was given")
	case maxAge == 0:
		return errors.New("--max-age 0s: must be more than 0")
	}
	text, err := heartbeat.Check(file, maxAge, c.Bool("strict"))
	if err == nil {
		fmt.Fprintln(c.App.Writer, text)
	}
	return err
}

func demoCommand(ctx context.Context, p settings.Program) error {
	return demo.Run(ctx, demo.Options{
		Binary: p.String("consul-bin"), For: settings.Span(p.Context, "for"), Out: p.App.Writer, Progress: p.App.ErrWriter,
		Tell: func(act string) { p.Log.Info().Msg("marathon: " + act) },
		Consular: func(ctx context.Context, master string, agent *url.URL) error {
			if err := p.UseDemo(master, agent); err != nil {
				return err
			}
			return runCommand(ctx, p)
		},
	})
}

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
