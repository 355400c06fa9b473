package settings

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"consular/reconcile/metrics"
)

// said is what consular reads from a command line and its environment.
type said struct {
	Settings
	level zerolog.Level
	force bool
	log   string
}

// say reads words as a user would write them: variables, options, a command, its options.
func say(t *testing.T, words ...string) (out said, err error) {
	t.Helper()
	args := []string{"consular"}
	for _, word := range words {
		if name, value, ok := strings.Cut(word, "="); ok && (strings.HasPrefix(name, "CONSUL") || strings.HasPrefix(name, "STATSD")) {
			t.Setenv(name, value)
			continue
		}
		args = append(args, word)
	}
	read := func(c *cli.Context) error {
		return blame(c, withLog(t.Context(), c, func(log zerolog.Logger) (err error) {
			out.level, out.force = log.GetLevel(), c.Bool("force")
			if out.Settings, err = Read(c, NoteRotation(log)); err == nil {
				warn(c, log)
			}
			return err
		}))
	}
	var log bytes.Buffer
	app := &cli.App{
		Flags: Flags(), Action: read, Writer: &bytes.Buffer{}, ErrWriter: &log,
		ExitErrHandler: func(*cli.Context, error) {},
	}
	for _, name := range []string{"run", "sync", "remove", "demo"} {
		app.Commands = append(app.Commands, &cli.Command{
			Name: name, Action: read, Flags: CommandFlags(name, &cli.BoolFlag{Name: "force"}),
		})
	}
	err = app.Run(args)
	out.log = log.String()
	return out, err
}

func TestFlagThenEnvironmentThenDefault(t *testing.T) {
	purge := func(s said) any { return s.Reconcile.Policy.Purge }
	fallback := func(s said) any { return s.Reconcile.Fallback }
	level := func(s said) any { return s.level.String() }
	timeout := func(s said) any { return s.Marathon.Timeout }
	force := func(s said) any { return s.force }
	id := func(s said) any { return s.Reconcile.Translation.Owner.RegistrationID }
	for _, test := range []struct {
		words string
		of    func(said) any
		want  any
	}{
		{"", purge, true},
		{"--no-purge", purge, false},
		{"--purge=false", purge, false},
		{"--purge --no-purge", purge, false},
		{"--no-purge=false", purge, true},
		{"CONSULAR_NO_PURGE=1", purge, false},
		{"CONSULAR_NO_PURGE=1 CONSULAR_PURGE=1", purge, false},
		{"CONSULAR_PURGE=false", purge, false},
		{"CONSULAR_PURGE=", purge, true},
		{"CONSULAR_NO_PURGE=1 --purge", purge, true},
		{"CONSULAR_NO_PURGE=1 --purge run", purge, true},
		{"CONSULAR_PURGE=false --no-purge=false", purge, true},
		{"CONSULAR_PURGE=true --no-purge", purge, false},
		{"", fallback, false},
		{"--fallback", fallback, true},
		{"CONSULAR_FALLBACK=1", fallback, true},
		{"CONSULAR_FALLBACK=1 sync", fallback, true},
		{"CONSULAR_NO_FALLBACK=1 --fallback", fallback, true},
		{"CONSULAR_FALLBACK=1 --no-fallback", fallback, false},
		{"CONSULAR_FALLBACK=1 --no-fallback=false", fallback, true},
		{"", level, "info"},
		{"--debug", level, "debug"},
		{"--debug --log-level error", level, "debug"},
		{"--no-debug", level, "info"},
		{"CONSULAR_NO_DEBUG=1 --debug", level, "debug"},
		{"CONSULAR_DEBUG=1", level, "debug"},
		{"CONSULAR_DEBUG=1 --no-debug", level, "info"},
		{"CONSULAR_DEBUG=1 --log-level error", level, "error"},
		{"CONSULAR_LOG_LEVEL=error --no-debug", level, "error"},
		{"CONSULAR_LOG_LEVEL=error --debug", level, "debug"},
		{"CONSULAR_LOG_LEVEL=", level, "info"},
		{"CONSULAR_TIMEOUT=7", timeout, 7 * time.Second},
		{"CONSULAR_TIMEOUT=abc --timeout 6", timeout, 6 * time.Second},
		{"CONSULAR_TIMEOUT=", timeout, 5 * time.Second},
		{"CONSULAR_REGISTRATION_ID=", id, "consular"},
		{"CONSULAR_REGISTRATION_ID=a", id, "a"},
		{"CONSULAR_REGISTRATION_ID=a --registration-id b sync", id, "b"},
		{"sync", force, false},
		{"CONSULAR_SYNC_FORCE=true sync", force, true},
		{"CONSULAR_SYNC_FORCE=true sync --force=false", force, false},
		{"CONSULAR_REMOVE_FORCE=true sync", force, false},
		{"CONSULAR_FORCE=true sync", force, true},
		{"CONSULAR_FORCE=true CONSULAR_SYNC_FORCE=false sync", force, false},
		{"CONSULAR_FORCE=true sync --force=false", force, false},
		{"CONSULAR_FORCE=maybe", force, false},
	} {
		t.Run(test.words, func(t *testing.T) {
			s, err := say(t, strings.Fields(test.words)...)
			if got := test.of(s); err != nil || got != test.want {
				t.Errorf("is %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

// An empty variable is none, also where another one says the same.
func TestEmptyVariableIsNone(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := say(t, "CONSULAR_MARATHON=", "CONSULAR_CONSUL=", "CONSUL_HTTP_ADDR=", "CONSULAR_KV_PREFIX=",
		"CONSULAR_CONSUL_TOKEN_FILE=", "CONSUL_HTTP_TOKEN_FILE="+token)
	if err != nil {
		t.Fatal(err)
	}
	if s.ShownMasters() != "http://localhost:8080" || s.ShownConsul() != "http://localhost:8500" || s.Consul.Prefix != "consular" {
		t.Errorf("read %s, %s, %s", s.ShownMasters(), s.ShownConsul(), s.Consul.Prefix)
	}
	if s.Consul.Token() != "s3cret" || !slices.Equal(s.Files, []string{token}) {
		t.Errorf("token %q, files %q", s.Consul.Token(), s.Files)
	}
}

// The name of a user may be a secret too: that of an API's key, or a lone token.
func TestShownURLsHaveNoUser(t *testing.T) {
	s, err := say(t, "--marathon", "http://s3cret:x@a:8080/path,http://s3cret@b", "CONSUL_HTTP_ADDR=c:8501", "CONSUL_HTTP_AUTH=s3cret:s3cret")
	if err != nil {
		t.Fatal(err)
	}
	if shown := s.ShownMasters() + " " + s.ShownConsul(); shown != "http://a:8080/path,http://b http://c:8501" {
		t.Errorf("shown is %s", shown)
	}
	if s.Consul.Address.User.Username() != "s3cret" || s.Marathon.URLs[1].User.Username() != "s3cret" {
		t.Error("users got lost")
	}
}

// A secret that cannot be sent is blamed on where it came from.
func TestBadSecretsAreBlamedOnTheirSource(t *testing.T) {
	for source, words := range map[string][]string{
		"CONSULAR_MARATHON_PASSWORD: ": {"CONSULAR_MARATHON_PASSWORD=s3\ncret", "--marathon-user", "ann"},
		"CONSUL_HTTP_TOKEN: ":          {"CONSUL_HTTP_TOKEN=s3\ncret"},
		"--marathon-password-file: ":   {"--marathon-password-file", "/nowhere", "--marathon-user", "ann"},
		"--consul-token-file: ":        {"--consul-token-file", "/nowhere"},
	} {
		t.Run(source, func(t *testing.T) {
			if _, err := say(t, words...); err == nil || !strings.HasPrefix(err.Error(), source) || strings.Contains(err.Error(), "s3") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// Who talks to no configured Marathon needs no credentials of it, and sends none.
func TestMarathonsCredentialsAreForThoseWhoAskIt(t *testing.T) {
	for command, needs := range map[string]bool{"run": true, "sync": true, "remove": false, "demo": false} {
		for _, variable := range []string{
			"CONSULAR_MARATHON_PASSWORD=s3cret", "CONSULAR_MARATHON_TOKEN_FILE=/nowhere", "CONSULAR_MARATHON_CA_FILE=/nowhere",
		} {
			t.Run(command+" "+variable, func(t *testing.T) {
				if _, err := say(t, variable, command); (err != nil) != needs {
					t.Errorf("error is %v", err)
				}
			})
		}
	}
}

// DC/OS says where its statsd is by two variables.
func TestStatsdOfTheEnvironment(t *testing.T) {
	for words, want := range map[string]string{
		"":                                       "",
		"--statsd a:1":                           "a:1",
		"--statsd [::1]:8125":                    "[::1]:8125",
		"CONSULAR_STATSD=a:1":                    "a:1",
		"STATSD_UDP_HOST=b STATSD_UDP_PORT=2":    "b:2",
		"STATSD_UDP_HOST=::1 STATSD_UDP_PORT=2":  "[::1]:2",
		"STATSD_UDP_HOST= STATSD_UDP_PORT=":      "",
		"STATSD_UDP_HOST=b --statsd a:1":         "a:1",
		"STATSD_UDP_HOST=b CONSULAR_STATSD=a:1":  "a:1",
		"STATSD_UDP_HOST=b":                      "error",
		"STATSD_UDP_PORT=2":                      "error",
		"STATSD_UDP_HOST=b/c STATSD_UDP_PORT=2":  "error",
		"STATSD_UDP_HOST=b STATSD_UDP_PORT=port": "error",
	} {
		t.Run(words, func(t *testing.T) {
			s, err := say(t, strings.Fields(words)...)
			if want == "error" {
				if err == nil || !strings.Contains(err.Error(), "STATSD_UDP_HOST") || !strings.Contains(err.Error(), "STATSD_UDP_PORT") {
					t.Errorf("error is %v", err)
				}
				return
			}
			if err != nil || s.Watched.Statsd != want {
				t.Errorf("is %q, %v; want %q", s.Watched.Statsd, err, want)
			}
		})
	}
}

// Where Consul is, and by which variable's word.
func TestAddressOfConsul(t *testing.T) {
	for words, want := range map[string]string{
		"":                          "http://localhost:8500",
		"CONSUL_HTTP_SSL=true":      "https://localhost:8500",
		"CONSUL_HTTP_ADDR=c:1":      "http://c:1",
		"CONSUL_HTTP_ADDR=http://c": "http://c",
		"CONSUL_HTTP_SSL=true CONSUL_HTTP_ADDR=http://c:1":                  "https://c:1",
		"CONSUL_HTTP_SSL=true CONSUL_HTTP_ADDR=http://c:1 --consul d:1":     "https://d:1",
		"CONSUL_HTTP_SSL=true --consul http://d:1":                          "http://d:1",
		"CONSUL_HTTP_SSL=true CONSULAR_CONSUL=http://d:1":                   "http://d:1",
		"CONSUL_CAPATH=/nowhere":                                            "http://localhost:8500",
		"CONSUL_CAPATH=/nowhere CONSUL_HTTP_SSL=1 CONSUL_HTTP_SSL_VERIFY=0": "https://localhost:8500",
	} {
		t.Run(words, func(t *testing.T) {
			if s, err := say(t, strings.Fields(words)...); err != nil || s.ShownConsul() != want {
				t.Errorf("is %v, %v; want %s", s.Consul.Address, err, want)
			}
		})
	}
}

// What is watched is written when it is opened: a file that cannot be is named with its option.
func TestExporters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "consular.prom")
	m := metrics.New(func() metrics.State { return metrics.State{} })
	for words, want := range map[string]int{
		"": 0, "--statsd a:1": 1, "--statsd a:1 --metrics-file " + file: 2, "--metrics-file /nowhere/consular.prom": -1,
	} {
		s, err := say(t, strings.Fields(words)...)
		if err != nil {
			t.Fatal(err)
		}
		exporters, err := s.Watched.Exporters(m, zerolog.Nop())
		if (err != nil) != (want < 0) || err == nil && len(exporters) != want || err != nil && !strings.HasPrefix(err.Error(), "--metrics-file: ") {
			t.Errorf("%q: %d exporters, %v", words, len(exporters), err)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestLockOfTheCopies(t *testing.T) {
	for words, want := range map[string]string{
		"":                          "consular-lock/consular",
		"--registration-id a":       "consular-lock/a",
		"--ha --lock-key b/c":       "b/c",
		"CONSULAR_LOCK_KEY=d":       "d",
		"--kv-prefix consular-lock": "consular-lock/consular", // no lock was asked for
	} {
		t.Run(words, func(t *testing.T) {
			s, err := say(t, strings.Fields(words)...)
			if err != nil || s.Copies.LockKey != want {
				t.Errorf("is %q, %v; want %q", s.Copies.LockKey, err, want)
			}
		})
	}
	mesos := func(name string) string { return map[string]string{"MESOS_TASK_ID": "consular.1", "HOST": "h1"}[name] }
	if got := copyName(mesos); got != "consular.1 on h1" {
		t.Errorf("the copy's name is %q", got)
	}
	if got := copyName(func(string) string { return "" }); !strings.Contains(got, fmt.Sprint(os.Getpid())) {
		t.Errorf("the copy's name is %q", got)
	}
}

func TestMastersAndPrefixesAsUsersWriteThem(t *testing.T) {
	masters := func(s said) string { return s.ShownMasters() }
	prefix := func(s said) string { return s.Consul.Prefix + " " + s.Reconcile.Translation.Prefix }
	for _, test := range []struct {
		words string
		of    func(said) string
		want  string
	}{
		{"--marathon 127.0.0.1:8080", masters, "http://127.0.0.1:8080"},
		{"--marathon localhost:8080,https://b,[::1]:8080/path", masters, "http://localhost:8080,https://b,http://[::1]:8080/path"},
		{"--marathon http://a --marathon b,c run", masters, "http://a,http://b,http://c"},
		{"CONSULAR_MARATHON=http://a,b", masters, "http://a,http://b"},
		{"CONSULAR_MARATHON=http://a --marathon http://b --marathon http://c", masters, "http://b,http://c"},
		{"--kv-prefix consular/", prefix, "consular consular"},
		{"--kv-prefix /a/b/", prefix, "a/b a/b"},
	} {
		t.Run(test.words, func(t *testing.T) {
			if s, err := say(t, strings.Fields(test.words)...); err != nil || test.of(s) != test.want {
				t.Errorf("is %s, %v; want %s", test.of(s), err, test.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for words, want := range map[string]string{
		"--idle-timeout 1s":                           "heartbeats are 10s apart",
		"CONSULAR_IDLE_TIMEOUT=19s run":               "heartbeats are 10s apart",
		"--idle-timeout 20s":                          "",
		"--idle-timeout 1s sync":                      "",
		"CONSULAR_FORCE=true sync":                    "say CONSULAR_SYNC_FORCE",
		"CONSULAR_FORCE=true sync --force":            "",
		"CONSULAR_FORCE=true":                         "",
		"CONSULAR_SYNC_FORCE=1 sync":                  "",
		"CONSULAR_FORCE=1 CONSULAR_SYNC_FORCE=1 sync": "",
		"--port 80":                                   "do nothing",
		"--lock-key a/b":                              "--ha",
		"--lock-key a/b sync":                         "",
		"CONSULAR_LOCK_KEY=a/b":                       "--ha",
		"CONSULAR_LOCK_KEY=a/b --ha":                  "",
	} {
		t.Run(words, func(t *testing.T) {
			s, err := say(t, strings.Fields(words)...)
			if err != nil || !strings.Contains(s.log, want) || (want == "") != (s.log == "") {
				t.Errorf("says %q, %v; want %q", s.log, err, want)
			}
		})
	}
}

// A FIFO in the place of a secret would hold up the start, and one in the place of the
// log too.
func TestNothingWaitsForAFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		"--marathon-password-file FIFO --marathon-user ann", "--marathon-token-file FIFO", "--consul-token-file FIFO",
		"--marathon-ca-file FIFO", "--marathon-cert-file FIFO --marathon-key-file FIFO",
		"--consul-ca-file FIFO", "--consul-cert-file FIFO --consul-key-file FIFO", "--logfile FIFO",
	} {
		_, err := say(t, strings.Fields(strings.ReplaceAll(words, "FIFO", fifo))...)
		if err == nil || !strings.Contains(err.Error(), fifo) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// The demo has a Consul of its own.
func TestDemoObeysNothingAboutAnotherConsul(t *testing.T) {
	s, err := say(t, "CONSUL_HTTP_ADDR=https://ann:s3cret@nowhere.invalid:1", "CONSUL_HTTP_AUTH=ann:s3cret", "CONSUL_HTTP_SSL=maybe",
		"CONSUL_HTTP_TOKEN=s3cret", "CONSUL_HTTP_TOKEN_FILE=/nowhere", "CONSUL_CACERT=/nowhere", "CONSUL_NAMESPACE=team", "CONSUL_CAPATH=/nowhere", "demo")
	if err != nil {
		t.Fatal(err)
	}
	agent := &url.URL{Scheme: "http", Host: "127.0.0.1:8500"}
	if err := s.UseDemo("http://127.0.0.1:1", agent); err != nil {
		t.Fatal(err)
	}
	if s.Consul.Address != agent || s.Consul.Token() != "" || len(s.Files) > 0 {
		t.Errorf("address %s, token %q, files %q", s.Consul.Address, s.Consul.Token(), s.Files)
	}
}
