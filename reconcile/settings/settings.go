package settings

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"consular/consul"
	"consular/marathon"
	"consular/marathon/transport"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
	"consular/stream"
)

// Settings are all options, as each package wants them.
type Settings struct {
	Marathon  marathon.Config
	Stream    stream.Config
	Consul    consul.Config
	Reconcile reconcile.Config
	// Copies says whether this is one of several, and Watched who looks at it.
	Copies  Copies
	Watched Watched
	// Files are all secrets and certificates: they may be changed at any time.
	Files []string
	// NoMarathon says that the configured Marathon is not asked: remove desires
	// nothing, and demo has one of its own.
	NoMarathon bool
	// Stays is set for run. It watches agents; and services say which token they were
	// registered with, and another one is drift: who runs once, perhaps with a token of his
	// own, leaves that alone.
	Stays bool
	// noConsul says that the configured Consul is not asked: demo has one of its own.
	noConsul bool
}

// fileOptions name files that are read again when they change.
var fileOptions = []string{
	"marathon-password-file", "marathon-token-file", "marathon-ca-file", "marathon-cert-file", "marathon-key-file",
	"consul-token-file", "consul-ca-file", "consul-cert-file", "consul-key-file",
}

// Read reads all options and lets each package check its own.
func Read(c *cli.Context, notice transport.Notice) (Settings, error) {
	span := func(option string) time.Duration { return Span(c, option) }
	s := Settings{
		NoMarathon: slices.Contains([]string{"remove", "demo"}, c.Command.Name),
		noConsul:   c.Command.Name == "demo",
	}
	maxEvent, errEvent := size(c, "max-event")
	maxAnswer, errAnswer := size(c, "max-answer")
	limit, errLimit := strconv.Atoi(strings.TrimSuffix(c.String("purge-limit"), "%"))
	if errLimit != nil {
		errLimit = fmt.Errorf("--purge-limit %q: must be a percentage, such as 50%%", c.String("purge-limit"))
	}
	if err := errors.Join(errEvent, errAnswer, errLimit); err != nil {
		return s, err
	}
	shaping, err := readShaping(c)
	if err != nil {
		return s, err
	}
	timeout := span("timeout")
	if timeout == 0 {
		return s, errors.New("--timeout 0s: must be more than 0")
	}
	s.Marathon = marathon.Config{Timeout: timeout, MaxAnswer: maxAnswer}
	s.Stream = stream.Config{IdleTimeout: span("idle-timeout"), Timeout: timeout, MaxEvent: int(maxEvent)}
	prefix := strings.TrimPrefix(strings.TrimSuffix(c.String("kv-prefix"), "/"), "/")
	s.Consul = consul.Config{MaxAnswer: maxAnswer, Prefix: prefix, Format: consul.Format(c.String("kv-format"))}
	s.Reconcile = reconcile.Config{
		Translation: desired.Translation{
			Health: desired.HealthMode(c.String("health")),
			Owner:  consul.Owner{RegistrationID: c.String("registration-id")}, Prefix: prefix, Shaping: shaping,
		},
		Fallback:     enabled(c, "fallback"),
		Policy:       plan.Policy{Purge: enabled(c, "purge"), Limit: limit, Confirm: span("purge-confirm")},
		SyncInterval: span("sync-interval"), PollInterval: span("poll-interval"), Patience: 4 * timeout,
	}
	s.Copies = readCopies(c)
	for _, option := range fileOptions {
		if name := c.String(option); name != "" && !s.unasked(option) {
			s.Files = append(s.Files, name)
		}
	}
	waits := transport.Config{Connect: timeout, Head: 3 * timeout, Silence: timeout, MaxConnsPerHost: 16, Notice: notice}
	if err := firstError(waits.Check(), s.reachMarathon(c, waits), s.reachConsul(c, waits)); err != nil {
		return s, err
	}
	return s, firstError(s.Marathon.Check(), s.Stream.Check(), s.Consul.Check(), s.Reconcile.Check(),
		s.Copies.check(s.Consul.Prefix), s.readWatched(c))
}

// unasked reports whether an option is about a side that is not asked.
func (s *Settings) unasked(option string) bool {
	return s.NoMarathon && strings.HasPrefix(option, "marathon-") || s.noConsul && strings.HasPrefix(option, "consul-")
}

// reachMarathon reads where Marathon is and what it wants to see. Its stream has
// connections of its own, on which silence is watched by package stream.
func (s *Settings) reachMarathon(c *cli.Context, waits transport.Config) error {
	masters, err := marathon.ParseURLs(withSchemes(c.String("marathon")))
	if err != nil {
		return fmt.Errorf("--marathon: %w", err)
	}
	var credentials marathon.Credentials
	if !s.NoMarathon {
		waits.TLS = tlsFiles(c, "marathon")
		if credentials, err = readCredentials(c, masters, waits.Notice); err != nil {
			return err
		}
	}
	rest, err := transport.New(waits)
	if err != nil {
		return fmt.Errorf("tls to marathon: %w", err)
	}
	waits.Silence, waits.MaxConnsPerHost = 0, 0
	streams, err := transport.New(waits)
	if err != nil {
		return fmt.Errorf("tls to marathon: %w", err)
	}
	s.Marathon.URLs, s.Marathon.Transport = masters, credentials.Authorize(rest)
	s.Stream.URLs, s.Stream.Transport = masters, credentials.Authorize(streams)
	return nil
}

// withSchemes makes http:// URLs of those that have no scheme.
func withSchemes(urls string) string {
	var whole []string
	for u := range strings.SplitSeq(urls, ",") {
		if u = strings.TrimSpace(u); u != "" && !strings.Contains(u, "://") {
			u = "http://" + u
		}
		whole = append(whole, u)
	}
	return strings.Join(whole, ",")
}

func readCredentials(c *cli.Context, masters []*url.URL, notice transport.Notice) (marathon.Credentials, error) {
	password, errPassword := secret(c, "marathon-password-file", "CONSULAR_MARATHON_PASSWORD", notice)
	token, errToken := secret(c, "marathon-token-file", "", notice)
	credentials := marathon.Credentials{
		User: c.String("marathon-user"), Password: password,
		Token: token, Type: marathon.TokenType(c.String("marathon-token-type")),
	}
	if err := firstError(errPassword, errToken); err != nil {
		return credentials, err
	}
	return credentials, credentials.Check(masters)
}

// secret reads what is in the file that an option names, or else in a variable.
func secret(c *cli.Context, option, variable string, notice transport.Notice) (*transport.Secret, error) {
	file, source := c.String(option), "--"+option
	if file == "" {
		source = variable
	}
	s, err := transport.NewSecret(file, os.Getenv(variable), notice)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return s, nil
}

// reachConsul reads where Consul is and what it wants to see.
func (s *Settings) reachConsul(c *cli.Context, waits transport.Config) error {
	if s.Reconcile.Fallback {
		if waits.Connect = Span(c, "fallback-timeout"); waits.Connect == 0 {
			return errors.New("--fallback-timeout 0s: must be more than 0")
		}
	}
	var token *transport.Secret
	if s.noConsul {
		s.Consul.Address = &url.URL{Scheme: "http", Host: "localhost:8500"} // until UseDemo
	} else {
		var err error
		if s.Consul.Address, waits.TLS, err = findConsul(c); err != nil {
			return err
		}
		if token, err = secret(c, "consul-token-file", "CONSUL_HTTP_TOKEN", waits.Notice); err != nil {
			return err
		}
	}
	requests, err := transport.New(waits)
	if err != nil {
		return fmt.Errorf("tls to consul: %w", err)
	}
	s.Consul.Transport, s.Consul.Token = requests, token.Text
	return s.Copies.reachConsul(waits)
}

// findConsul returns the main agent's address and how to know it by TLS, from the options
// and Consul's own variables.
func findConsul(c *cli.Context) (*url.URL, transport.TLS, error) {
	files := tlsFiles(c, "consul")
	env, err := consul.ReadEnvironment(os.Getenv)
	if err != nil {
		return nil, files, err
	}
	address, fromEnvironment := c.String("consul"), lookUp(c, "consul").source() == "CONSUL_HTTP_ADDR"
	if !c.IsSet("consul") {
		address = "localhost:8500" // as CONSUL_HTTP_SSL says
	}
	agent, err := env.ParseAddress(address, fromEnvironment)
	if err != nil {
		return nil, files, fmt.Errorf("--consul: %w", err)
	}
	if !c.IsSet("consul-insecure") {
		files.Insecure = env.Insecure
	}
	if env.CAPath != "" && agent.Scheme == "https" && files.CAFile == "" && !files.Insecure {
		return nil, files, fmt.Errorf("CONSUL_CAPATH %q: consular reads authorities from one file, which --consul-ca-file or CONSUL_CACERT names", env.CAPath)
	}
	return agent, files, nil
}

func tlsFiles(c *cli.Context, side string) transport.TLS {
	return transport.TLS{
		CAFile: c.String(side + "-ca-file"), CertFile: c.String(side + "-cert-file"), KeyFile: c.String(side + "-key-file"),
		ServerName: c.String(side + "-tls-server-name"), Insecure: c.Bool(side + "-insecure"),
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

// maxSize is that of the largest event or answer: what an int holds everywhere.
const maxSize = math.MaxInt32

func size(c *cli.Context, option string) (int64, error) {
	n, err := humanize.ParseBytes(c.String(option))
	if err != nil || n == 0 {
		return 0, fmt.Errorf("--%s %q: must be a size such as 8MiB", option, c.String(option))
	}
	if n > maxSize {
		return 0, fmt.Errorf("--%s %q: must be less than 2GiB", option, c.String(option))
	}
	return int64(n), nil
}
